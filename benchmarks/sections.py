"""What `performance.py` measures: one function per section, each returns a dictionary for JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from models import peak_gb

ROOT = Path(__file__).resolve().parent.parent
THREADS = os.cpu_count() or 1
GROWTH = {"dim": 128, "heads": 4, "depth": 2, "timesteps": 4, "image_size": 16}
VARIED: dict[str, list[dict[str, Any]]] = {
    "T": [{"timesteps": t} for t in (2, 4, 8, 16)],
    "tokens": [{"image_size": n} for n in (8, 16, 32)],
    "width": [{"dim": d, "heads": d // 32} for d in (64, 128, 256, 384)],
    "depth": [{"depth": d} for d in (1, 2, 4, 8)],
}


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    import torch

    return {
        "cores": THREADS,
        "processor": _processor(),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "load": os.getloadavg()[0],
        "day": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    lines = (
        Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc/cpuinfo") else []
    )
    found = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    wide = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{found[0] if found else platform.machine()}, {wide}"


def _threads() -> None:
    import numba
    import torch

    torch.set_num_threads(THREADS)
    numba.set_num_threads(THREADS)


def demo() -> dict[str, Any]:
    """All backends and torch on the demo net."""
    import bench_backends

    _threads()
    return bench_backends.measure(360, 5, lava=1)


def sanafe() -> dict[str, Any]:
    """SANA-FE on the net that it can express."""
    import sanafe_witness

    return sanafe_witness.race()


def spikformer() -> dict[str, Any]:
    """Spikformer 4-384 against torch at set activities."""
    import bench_spikformer

    _threads()
    program, model, x = bench_spikformer.build("cifar10_4_384")
    goals = [("LIF rate", r) for r in (0.05, 0.1, 0.15, 0.2)]
    goals += [("activity", r) for r in (0.05, 0.1, 0.15, 0.2)]
    return bench_spikformer.measure(program, model, x, goals, 5, 32)


def growth() -> dict[str, Any]:
    """A small Spikformer, one of its sizes varied at a time."""
    from bench_spikformer import through_fast, through_torch

    from sfx.frontends.zoo.spikformer import SPIKFORMER

    _threads()
    base = replace(SPIKFORMER["cifar10_4_384"], **GROWTH)
    rows = []
    for name, changes in VARIED.items():
        for change in changes:
            program, model, x = compiled("spikformer", replace(base, **change).to_mapping())
            many = np.repeat(x, 8, axis=0)
            runs = {"fast": through_fast(program, many, 8), "torch": through_torch(model, many, 8)}
            neurons = sum(p.size for p in program)
            row: dict[str, Any] = {"varied": name, **change, "neurons": neurons}
            rows.append(row | {k: best(run, 3) / 8 for k, run in runs.items()})
    return {"base": GROWTH, "rows": rows}


def imagenet() -> dict[str, Any]:
    """One sample of Spikformer 8-512 at 224x224, fast and torch."""
    from bench_spikformer import through_fast, through_torch

    from sfx.frontends.zoo.spikformer import SPIKFORMER

    _threads()
    config = SPIKFORMER["imagenet_8_512"]
    program, model, x = compiled("spikformer", config.to_mapping())
    built = peak_gb()
    runs = {"fast": through_fast(program, x, 1), "torch": through_torch(model, x, 1)}
    seconds = {name: best(run, 2) for name, run in runs.items()}
    neurons = sum(p.size for p in program)
    return {"seconds": seconds, "compile_gb": built, "peak_gb": peak_gb(), "neurons": neurons}


def compiling() -> dict[str, Any]:
    """Spikformer 8-768 at 224x224 from the float model to the placed Program, by stage."""
    import cProfile
    import pstats

    from sfx.frontends.zoo.spikformer import SPIKFORMER

    config = SPIKFORMER["imagenet_8_768"].to_mapping()
    profile = cProfile.Profile(time.process_time)
    start = time.perf_counter(), time.process_time()
    seconds: dict[str, float] = {}
    profile.enable()
    compiled("spikformer", config, seconds)
    profile.disable()
    wall, cpu = time.perf_counter() - start[0], time.process_time() - start[1]
    totals: dict[str, float] = {}
    for (file, _, _), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        totals[_area(file)] = totals.get(_area(file), 0.0) + own
    share = {k: v for k, v in sorted(totals.items(), key=lambda kv: -kv[1]) if v > 0.01 * cpu}
    return {"wall_s": wall, "cpu_s": cpu, "peak_gb": peak_gb(), "stages": seconds, "own": share}


def _area(file: str) -> str:
    """Part of the project, or package, that a source file belongs to."""
    parts = Path(file).parts
    if "sfx" in parts:
        return "/".join(parts[parts.index("sfx") + 1 :][:3]).removesuffix(".py")
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return "numpy, torch and Python's own code"


def mnist() -> dict[str, Any]:
    """The 10,000 test images through the trained Spikeformer, as a user does it."""
    data = next(p for p in (ROOT.parent / "shared/data/mnist.npz", Path("mnist.npz")) if p.exists())
    sfx = [sys.executable, "-m", "sfx.toolchain.app.cli"]
    with tempfile.TemporaryDirectory() as folder:
        test, bundle, out = (f"{folder}/{n}" for n in ("test.npz", "mnist.sfx", "run.json"))
        steps = [
            [*sfx, "data", "convert", "--from", "mnist", str(data), "--split", "test"],
            [*sfx, "compile", str(ROOT / "examples/mnist/model.pt"), "-o", bundle],
            [*sfx, "run", bundle, "--input", test, "--json", out],
        ]
        steps[0] += ["--steps", "4", "--crop", "24x24", "-o", test]
        for command in steps:
            subprocess.run(command, check=True, capture_output=True)
        found = json.loads(Path(out).read_text(encoding="utf-8"))
    return {k: found[k] for k in ("samples", "accuracy", "seconds", "spikes", "synops")}


def cuda() -> dict[str, Any]:
    """Spikformer 4-384 at 15 % LIF rate on a GPU: the bits of the CPU, the time beside torch."""
    import torch
    from activity import with_rate
    from bench_backends import same
    from bench_spikformer import build, through_torch

    from sfx.backends.fast.backend import FastBackend

    if not torch.cuda.is_available():
        raise SystemExit("torch finds no CUDA device here")
    program, model, x = build("cifar10_4_384")
    rng = np.random.default_rng(1)
    many = np.stack([rng.permutation(x.ravel()).reshape(x.shape[1:]) for _ in range(128)])
    program = with_rate(program, many[:1], 0.15)
    device = FastBackend(device="cuda")
    want, got = FastBackend().run(program, many[:4]), device.run(program, many[:4])
    if not same(want, got):
        raise SystemExit("the GPU and the CPU differ: nothing is timed")
    silent = [n for n in want.counts.events if not want.counts.events[n].any()]
    model = model.cuda()
    rows = []
    for batch in (1, 32, 128):
        some = many[:batch]
        runs: dict[str, Callable[[], object]] = {
            "fast": partial(device.run, program, some),
            "torch": through_torch(model, some, batch, "cuda"),
        }
        rows.append({"batch": batch} | {k: best(run, 5) / batch for k, run in runs.items()})
    return {
        "gpu": torch.cuda.get_device_name(),
        "compared": 4,
        "neurons": sum(p.size for p in program),
        "events": sum(int(want.counts.events.total(n)) for n in want.counts.events),
        "silent": silent,
        "rows": rows,
        "peak_gb": torch.cuda.max_memory_allocated() / 2**30,
    }


def compiled(
    family: str, config: Any, seconds: dict[str, float] | None = None
) -> tuple[Any, Any, np.ndarray]:
    """Program, float model and a sample of a model of the zoo with live random weights."""
    import torch
    from models import TARGET, awake

    from sfx.frontends import zoo
    from sfx.frontends.tracing.export import export
    from sfx.toolchain.compiler.compile import compile_graph
    from sfx.toolchain.formats.nir.bridge import to_graph
    from sfx.toolchain.targets import load

    torch.manual_seed(0)
    start = time.process_time()
    model = zoo.build(family, config)
    x = awake(model)
    built = time.process_time()
    graph = to_graph(export(model, model.example_input()))
    exported = time.process_time()
    result = compile_graph(graph, load(TARGET), x)
    if seconds is not None:
        done = time.process_time()
        seconds |= {"build": built - start, "export": exported - built, "compile": done - exported}
    return result.placed.program, model, x


def best(run: Callable[[], object], repeats: int) -> float:
    """Seconds of the quickest call after a first one, which readies."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    f.__name__: f for f in (demo, sanafe, spikformer, growth, imagenet, compiling, mnist, cuda)
}
