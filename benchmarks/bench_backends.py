"""Reference, fast and the float torch model side by side on the demo net.

    python benchmarks/bench_backends.py [--threads N] [--samples N] [--json FILE]

Everything runs in one process on the same samples, in turns: what else the machine does falls on
all alike. A time is the best of the repeats, and a ratio compares times of this one run. Before
anything is timed, sums and counts of `fast` are compared with the reference on the same samples.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "spikeformer"
sys.path.insert(0, str(EXAMPLE))


def best(run: Callable[[], object]) -> float:
    """Seconds that one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def same(want: object, got: object) -> bool:
    """Equal sums, events and active neurons of two `Result`s."""
    pairs = [(want.counts.events, got.counts.events), (want.counts.active, got.counts.active)]
    equal = all(np.array_equal(a[n], b[n]) for a, b in pairs for n in a)
    return equal and np.array_equal(want.sums, got.sums)


def measure(samples: int, repeats: int, lava: int = 0) -> dict[str, object]:
    """Time every contestant, `lava` samples on Lava; a dictionary for JSON."""
    from data import load

    from sfx.frontends.checkpoints.load import load_torch
    from sfx.toolchain.app import api

    program = api.compile(EXAMPLE / "model.pt").program
    x = load("test").x[:samples].astype(np.int64)
    net, _, _ = load_torch(EXAMPLE / "model.pt")
    reference, fast = api.backend("reference"), api.backend("fast")
    few = x[: min(len(x), 32)]
    ready = best(lambda: fast.run(program, few[:1]))
    if not same(reference.run(program, few), fast.run(program, few)):
        raise SystemExit("fast and reference differ: nothing is timed")

    def through_torch(batch: int) -> None:
        with torch.no_grad():
            for i in range(0, len(few), batch):
                net(torch.from_numpy(few[i : i + batch]).float().transpose(0, 1))

    contestants: dict[str, tuple[int, Callable[[], object]]] = {
        "reference": (len(few), lambda: reference.run(program, few)),
        "fast, one sample at a time": (
            len(few),
            lambda: [fast.run(program, few[i : i + 1]) for i in range(len(few))],
        ),
        "fast, 32 samples": (len(few), lambda: fast.run(program, few)),
        f"fast, {len(x)} samples": (len(x), lambda: fast.run(program, x)),
        "torch float, batch 1": (len(few), lambda: through_torch(1)),
        "torch float, batch 32": (len(few), lambda: through_torch(32)),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, (_, run) in contestants.items():
            times[name].append(best(run))
    counts = {name: n for name, (n, _) in contestants.items()}
    if lava:
        counts["lava"] = lava
        times["lava"] = [best(lambda: api.backend("lava").run(program, x[:lava]))]
    return {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, torch {torch.__version__.split('+')[0]} with "
        f"{torch.get_num_threads()} thread(s) for torch and fast, load {os.getloadavg()[0]:.1f}",
        "timesteps": program.timesteps,
        "neurons": sum(p.size for p in program),
        "repeats": repeats,
        "compared": len(few),
        "ready": ready,
        "samples": counts,
        "seconds": times,
        "threads": torch.get_num_threads(),
    }


def table(result: dict[str, object]) -> str:
    """Milliseconds per sample, from what `measure` gave."""
    times, counts = result["seconds"], result["samples"]
    return "\n".join(f"{n:<28} {1e3 * min(t) / counts[n]:10.2f} ms" for n, t in times.items())


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Measure the backends side by side.")
    parser.add_argument("--samples", type=int, default=360)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    numba.set_num_threads(options.threads)
    result = measure(options.samples, options.repeats)
    print(table(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
