"""Accuracy of the example models, float against integers, written to docs/accuracy.md.

    python benchmarks/accuracy.py [--task digits] [--method ptq --bits 8 4] [--shared DATA]
    python benchmarks/accuracy.py --task folds

Every figure is counted on the whole test set with the `fast` backend, bit-equal to the reference.
Figures are kept in benchmarks/accuracy.json, so that one method can be counted anew without the
others; the page is written from that file. A task whose model or data are not here is left out.

Nothing is chosen on test samples: scales and rounding see the calibration samples inside the
checkpoint (training samples, without labels), and the settings of the method itself were compared
on training samples moved by up to two pixels.

Task `folds` counts every one of the 1,797 digits: five models, each trained by the example's own
recipe on four fifths of them (six minutes of CPU each), are tested on the rest. They are kept in
out/folds and trained anew only when that folder is gone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "accuracy.json"
PAGE = ROOT / "docs" / "accuracy.md"
FRUGAL = ROOT / "benchmarks" / "frugal.json"
"""What `frugal.py` found."""
PEERS = ROOT / "benchmarks" / "peers.json"
"""What `peers.py` and `peers_brevitas.py` found."""
BITS = (8, 6, 4, 3, 2)
METHODS = ("float", "naive", "ptq", "qat")
MOVES = ((2, 0), (0, 2), (-2, 0), (0, -2), (1, 1), (-1, -1), (2, -1), (-1, 2))
MOVED = 3000
"""Moved training digits that are counted."""
FOLDS = 5
SPIKEFORMER, MNIST, NMNIST = (ROOT / "examples" / n for n in ("spikeformer", "mnist", "nmnist"))
TRAINED = ROOT / "out" / "folds"
Z = 1.959964
"""Two-sided 95 %."""

HEAD = """# Accuracy

Written by `python benchmarks/accuracy.py`. Every integer figure is the compiled Program on the
`fast` backend, whose bits are the reference's. In brackets: samples that are right, and the 95 %
interval of the share (Wilson); then the difference to float in points.

* **naive**: the largest weight takes the largest mantissa, the others round to the nearest; no
  data.
* **PTQ**: what `sfx compile --bits B` does: scales, rounding and biases fitted on the 64 training
  samples inside the checkpoint, without labels.
* **QAT**: the model fine-tuned with `sfx.qat`, whose forward pass is the Program.

All layers have the same bits, the first and the last too. Nothing is fitted to test samples. The
settings of PTQ were chosen on training digits moved by up to two pixels; figures of the test digits
set were seen while it was developed.

A test set of 360 cannot tell a point: one sample is 0.28 of it, and the interval of a figure is
wider than the goals. So the digits are counted a second time, all 1,797 of them, by five models
trained by the example's recipe on four fifths each and tested on the fifth they never saw.
"""

GOALS = {
    ("digits", "ptq-8"): 0.3,
    ("digits", "ptq-4"): 0.5,
    ("digits", "ptq-3"): 3.0,
    ("folds", "ptq-8"): 0.3,
    ("folds", "ptq-4"): 0.5,
    ("folds", "ptq-3"): 3.0,
    ("digits", "qat-3"): 1.0,
    ("mnist", "ptq-8"): 0.3,
    ("mnist", "qat-4"): 1.0,
    ("nmnist", "ptq-8"): 1.0,
}
"""Points below float that the project set itself as the most to lose."""


@dataclass(frozen=True)
class Part:
    """A trained model and samples x [K, T, ...], y [K] that it is counted on."""

    model: Path
    x: NDArray[Any]
    y: NDArray[Any]


@dataclass(frozen=True)
class Task:
    """An example: its parts, most of one model and samples that it was never trained on."""

    name: str
    title: str
    folder: Path
    parts: Callable[[Path], list[Part]]
    kind: str = "test"


def module(path: Path) -> ModuleType:
    """A script of an example as a module (its siblings importable)."""
    sys.path.insert(0, str(path.parent))
    sys.path.insert(0, str(path.parent.parent))
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def digits(shared: Path) -> list[Part]:
    """All 360 test samples of examples/spikeformer."""
    samples = module(SPIKEFORMER / "data.py").load("test")
    return [Part(SPIKEFORMER / "model.pt", samples.x, samples.y)]


def folds(shared: Path) -> list[Part]:
    """All 1,797 digits in five parts, each with a model trained on the other four."""
    from sfx.frontends.training.config import read_config

    config = read_config(SPIKEFORMER / "train.toml")
    data = module(SPIKEFORMER / "data.py")
    halves = [data.load(split) for split in ("train", "test")]
    x = np.concatenate([half.x for half in halves])
    y = np.concatenate([half.y for half in halves])
    part_of = np.zeros(len(y), np.int64)
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        part_of[members] = np.arange(len(members)) % FOLDS
    TRAINED.mkdir(parents=True, exist_ok=True)
    parts = []
    for fold in range(FOLDS):
        model, others = TRAINED / f"fold{fold}.pt", part_of != fold
        if not model.exists():
            print(f"training {model.name} on {others.sum()} samples", flush=True)
            learn(config, x[others], y[others], model)
        parts.append(Part(model, x[~others], y[~others]))
    return parts


def learn(config: Any, x: np.ndarray, y: np.ndarray, path: Path) -> None:
    """A checkpoint trained by a configuration on other samples than it names."""
    import torch

    from sfx.frontends import zoo
    from sfx.frontends.checkpoints.save import save
    from sfx.training import Arrays, Training

    torch.set_num_threads(config.train.threads)
    torch.manual_seed(config.train.seed)
    net: Any = zoo.build("spikeformer", {k: v for k, v in config.model.items() if k != "name"})
    samples = Arrays.of(x, y)
    training = Training(
        net, samples, config.train, steps=net.config.timesteps, augment=config.augment
    )
    for epoch in training:
        print(f"epoch {epoch.number}  loss {epoch.loss:.4f}  {epoch.seconds:.0f} s", flush=True)
    training.finish()
    count = config.data.calibration
    chosen = samples.batch(torch.arange(count) * len(y) // count, None)
    save(net, path, chosen.to(torch.uint8))


def moved(shared: Path) -> list[Part]:
    """3,000 training digits of examples/spikeformer, each moved by (rows, columns) of MOVES."""
    samples = module(SPIKEFORMER / "data.py").load("train")
    whole = np.pad(samples.x, [(0, 0)] * 3 + [(2, 2)] * 2)
    size = samples.x.shape[-1]
    moves = [whole[..., 2 - a : 2 - a + size, 2 - b : 2 - b + size] for a, b in MOVES]
    x, y = np.concatenate(moves), np.tile(samples.y, len(MOVES))
    chosen = np.random.default_rng(5).permutation(len(y))[:MOVED]
    return [Part(SPIKEFORMER / "model.pt", x[chosen], y[chosen])]


def mnist(shared: Path) -> list[Part]:
    """All 10,000 test images."""
    data = module(MNIST / "data.py")
    x, y = data.load(shared / "mnist.npz", "test")
    return [Part(MNIST / "model.pt", np.repeat(x, data.STEPS, axis=1), y)]


def nmnist(shared: Path) -> list[Part]:
    """The last 100 recordings of NMNISTsmall."""
    data = module(NMNIST / "data.py")
    x, y = data.load(shared / "nmnist_small.npz", "test")
    return [Part(NMNIST / "model.pt", x, y)]


TASKS = (
    Task("digits", "Digits (scikit-learn, as events)", SPIKEFORMER, digits),
    Task("folds", "All digits, five models each tested on the fifth it never saw", TRAINED, folds),
    Task(
        "moved",
        "Digits moved by up to two pixels, which PTQ's settings were chosen on",
        SPIKEFORMER,
        moved,
        "training",
    ),
    Task("mnist", "MNIST", MNIST, mnist),
    Task("nmnist", "N-MNIST", NMNIST, nmnist),
)


def float_right(part: Part) -> dict[str, Any]:
    """Samples that the PyTorch model gets right."""
    import torch

    from sfx.frontends.checkpoints.spikeformer import load

    model = load(part.model).eval()
    right = 0
    with torch.no_grad():
        for i in range(0, len(part.x), 100):
            x = torch.from_numpy(np.ascontiguousarray(part.x[i : i + 100])).float()
            said = model(x.transpose(0, 1)).argmax(1).numpy()
            right += int((said == part.y[i : i + 100]).sum())
    return {"right": right}


def integer_right(part: Part, method: str, bits: int) -> dict[str, Any]:
    """The same for a compiled model, with its synaptic memory and agreement."""
    from sfx.toolchain.app import api
    from sfx.toolchain.compiler.quantize.options import Options
    from sfx.toolchain.data import Data

    if method == "qat":
        bundle = api.compile(qat_file(part.model.parent, bits))
    else:
        options = Options("naive" if method == "naive" else "calibrated", bits)
        bundle = api.compile(part.model, options=options)
    compiled = time.process_time()
    result = api.run(bundle, Data(part.x, part.y), backend_name="fast")
    records = bundle.manifest["quantization"]
    return {
        "right": int((result.predictions == part.y).sum()),
        "run_seconds": round(time.process_time() - compiled, 1),
        "memory_kib": round(sum(r.get("memory_bits", 0) for r in records) / 8192, 1) or None,
    }


def qat_file(folder: Path, bits: int) -> Path:
    """Where a model fine-tuned at so many bits lies, if there is one."""
    return folder / f"qat{bits}.safetensors"


def wanted(task: Task, methods: list[str], bits: list[int]) -> list[tuple[str, int]]:
    """(method, bits) to count; bits 0: float."""
    out = [("float", 0)] if "float" in methods else []
    for method in ("naive", "ptq", "qat"):
        for b in bits if method in methods else ():
            if method != "qat" or (task.kind == "test" and qat_file(task.folder, b).exists()):
                out.append((method, b))
    return out


def count(parts: list[Part], method: str, bits: int) -> dict[str, Any]:
    """One figure, summed over the parts, with the seconds of CPU that it took."""
    start = time.process_time()
    made = [
        float_right(part) if method == "float" else integer_right(part, method, bits)
        for part in parts
    ]
    out: dict[str, Any] = {"samples": sum(len(part.y) for part in parts)}
    out["seconds"] = round(time.process_time() - start, 1)
    out["right"] = sum(m["right"] for m in made)
    if method != "float":
        out["run_seconds"] = round(sum(m["run_seconds"] for m in made), 1)
        out["memory_kib"] = made[0]["memory_kib"]
    return out | ({"right_by_part": [m["right"] for m in made]} if len(made) > 1 else {})


def wilson(right: int, samples: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    share, n = right / samples, samples
    centre = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return centre - half, centre + half


def page(results: dict[str, Any]) -> str:
    """docs/accuracy.md."""
    out = [HEAD]
    for task in TASKS:
        found = results.get(task.name)
        if found:
            out += _table(task, found)
    if PEERS.exists():
        import peers

        out += peers.section(json.loads(PEERS.read_text()))
    if FRUGAL.exists():
        from frugal import section

        out += section(json.loads(FRUGAL.read_text()))
    return "\n".join(out)


def _table(task: Task, found: dict[str, Any]) -> list[str]:
    real = found.get("float")
    samples = next(iter(found.values()))["samples"]
    lines = [f"## {task.title}, {samples:,} {task.kind} samples", ""]
    if real:
        lines += [f"Float (PyTorch): {_cell(real, None)}", ""]
    used = [m for m in METHODS[1:] if any(k.startswith(f"{m}-") for k in found)]
    head = " | ".join({"naive": "naive", "ptq": "PTQ", "qat": "QAT"}[m] for m in used)
    lines += [f"| bits | {head} | memory KiB | CPU s |", "|---" * (len(used) + 3) + "|"]
    for bits in BITS:
        row = [found.get(f"{m}-{bits}") for m in used]
        if any(row):
            cells = " | ".join(_cell(r, real) for r in row)
            last = found.get(f"ptq-{bits}", {})
            lines.append(
                f"| {bits} | {cells} | {last.get('memory_kib', '-')} | {last.get('seconds', '-')} |"
            )
    models = max(len(row.get("right_by_part", [0])) for row in found.values())
    of = f", time that of all {models} models" if models > 1 else ""
    lines += ["", f"Memory and time (compile and run) are PTQ's{of}.", ""]
    goals = [g for g in (_goal(task, name, found) for name in found) if g]
    return [*lines, *goals, ""] if goals else lines


def _goal(task: Task, name: str, found: dict[str, Any]) -> str:
    """Whether a figure loses no more than it should; "" where no goal was set."""
    most, real, made = GOALS.get((task.name, name)), found.get("float"), found[name]
    if most is None or real is None:
        return ""
    lost = 100 * (real["right"] - made["right"]) / made["samples"]
    method, bits = name.split("-")
    verdict = "met" if lost <= most else "MISSED"
    return f"* {method.upper()} at {bits} bits, at most {most} points below float: {verdict}"


def _cell(found: dict[str, Any] | None, real: dict[str, Any] | None) -> str:
    if not found:
        return "-"
    right, samples = found["right"], found["samples"]
    low, high = wilson(right, samples)
    text = f"{right / samples:.2%} ({right:,}; {low:.1%} to {high:.1%})"
    if real is None:
        return text
    return f"{text} {100 * (right - real['right']) / samples:+.2f}"


def main() -> None:
    """Counts what is asked for, keeps it, writes the page."""
    parser = argparse.ArgumentParser(description="Accuracy of the examples, float and integer.")
    parser.add_argument("--task", nargs="*", default=[t.name for t in TASKS])
    parser.add_argument("--method", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--bits", nargs="*", type=int, default=list(BITS))
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--page-only", action="store_true", help="count nothing")
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for task in TASKS if not options.page_only else ():
        if task.name not in options.task:
            continue
        parts = [part for part in task.parts(options.shared) if part.model.exists()]
        if not parts:
            continue
        for method, bits in wanted(task, options.method, options.bits):
            name = method if method == "float" else f"{method}-{bits}"
            made = count(parts, method, bits)
            print(f"{task.name} {name}: {made}", flush=True)
            results.setdefault(task.name, {})[name] = made
            RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
