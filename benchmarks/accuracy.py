"""Accuracy of the example models, float against integers, written to docs/accuracy.md.

    python benchmarks/accuracy.py [--task digits] [--method ptq --bits 8 4] [--shared DATA]

Every figure is counted on the whole test set with the `fast` backend, bit-equal to the reference.
Figures are kept in benchmarks/accuracy.json, so that one method can be counted anew without the
others; the page is written from that file. A task whose model or data are not here is left out.

Nothing is chosen on test samples: scales and rounding see the calibration samples inside the
checkpoint (training samples, without labels), and the settings of the method itself were compared
on training samples moved by up to two pixels.
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
BITS = (8, 6, 4, 3, 2)
METHODS = ("float", "naive", "ptq", "qat")
MOVES = ((2, 0), (0, 2), (-2, 0), (0, -2), (1, 1), (-1, -1), (2, -1), (-1, 2))
MOVED = 3000
"""Moved training digits that are counted."""
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
"""

GOALS = {
    ("digits", "ptq-8"): 0.3,
    ("digits", "ptq-4"): 0.5,
    ("digits", "ptq-3"): 3.0,
    ("digits", "qat-3"): 1.0,
    ("mnist", "ptq-8"): 0.3,
    ("mnist", "qat-4"): 1.0,
    ("nmnist", "ptq-8"): 1.0,
}
"""Points below float that the project set itself as the most to lose."""

Test = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Task:
    """A trained example and samples x [K, T, ...], y [K]; most were never trained on."""

    name: str
    title: str
    folder: Path
    test: Callable[[Path], Test]
    kind: str = "test"

    @property
    def model(self) -> Path:
        """The committed checkpoint."""
        return self.folder / "model.pt"


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


def digits(shared: Path) -> Test:
    """All 360 test samples of examples/spikeformer."""
    samples = module(ROOT / "examples" / "spikeformer" / "data.py").load("test")
    return samples.x, samples.y


def moved(shared: Path) -> Test:
    """3,000 training digits of examples/spikeformer, each moved by (rows, columns) of MOVES."""
    samples = module(ROOT / "examples" / "spikeformer" / "data.py").load("train")
    whole = np.pad(samples.x, [(0, 0)] * 3 + [(2, 2)] * 2)
    size = samples.x.shape[-1]
    parts = [whole[..., 2 - a : 2 - a + size, 2 - b : 2 - b + size] for a, b in MOVES]
    x, y = np.concatenate(parts), np.tile(samples.y, len(MOVES))
    chosen = np.random.default_rng(5).permutation(len(y))[:MOVED]
    return x[chosen], y[chosen]


def mnist(shared: Path) -> Test:
    """All 10,000 test images."""
    data = module(ROOT / "examples" / "mnist" / "data.py")
    x, y = data.load(shared / "mnist.npz", "test")
    return np.repeat(x, data.STEPS, axis=1), y


def nmnist(shared: Path) -> Test:
    """The last 100 recordings of NMNISTsmall."""
    data = module(ROOT / "examples" / "nmnist" / "data.py")
    x, y = data.load(shared / "nmnist_small.npz", "test")
    return x, y


TASKS = (
    Task("digits", "Digits (scikit-learn, as events)", ROOT / "examples" / "spikeformer", digits),
    Task(
        "moved",
        "Digits moved by up to two pixels, which PTQ's settings were chosen on",
        ROOT / "examples" / "spikeformer",
        moved,
        "training",
    ),
    Task("mnist", "MNIST", ROOT / "examples" / "mnist", mnist),
    Task("nmnist", "N-MNIST", ROOT / "examples" / "nmnist", nmnist),
)


def float_right(task: Task, x: NDArray[Any], y: NDArray[Any]) -> int:
    """Test samples that the PyTorch model gets right."""
    import torch

    from sfx.frontends.zoo.spikeformer import load

    model = load(task.model).eval()
    right = 0
    with torch.no_grad():
        for i in range(0, len(x), 100):
            part = torch.from_numpy(np.ascontiguousarray(x[i : i + 100])).float()
            right += int((model(part.transpose(0, 1)).argmax(1).numpy() == y[i : i + 100]).sum())
    return right


def integer_right(
    task: Task, method: str, bits: int, x: NDArray[Any], y: NDArray[Any]
) -> dict[str, Any]:
    """The same for a compiled model, with its synaptic memory and agreement."""
    from sfx.toolchain import api
    from sfx.toolchain.data import Data
    from sfx.toolchain.quantize.options import Options

    if method == "qat":
        bundle = api.compile(qat_file(task, bits))
    else:
        options = Options("naive" if method == "naive" else "calibrated", bits)
        bundle = api.compile(task.model, options=options)
    compiled = time.process_time()
    result = api.run(bundle, Data(x, y), backend_name="fast")
    records = bundle.manifest["quantization"]
    return {
        "right": int((result.predictions == y).sum()),
        "run_seconds": round(time.process_time() - compiled, 1),
        "memory_kib": round(sum(r.get("memory_bits", 0) for r in records) / 8192, 1) or None,
    }


def qat_file(task: Task, bits: int) -> Path:
    """Where a model fine-tuned at so many bits lies, if there is one."""
    return task.folder / f"qat{bits}.safetensors"


def wanted(task: Task, methods: list[str], bits: list[int]) -> list[tuple[str, int]]:
    """(method, bits) to count; bits 0: float."""
    out = [("float", 0)] if "float" in methods else []
    for method in ("naive", "ptq", "qat"):
        for b in bits if method in methods else ():
            if method != "qat" or (task.kind == "test" and qat_file(task, b).exists()):
                out.append((method, b))
    return out


def count(task: Task, method: str, bits: int, x: NDArray[Any], y: NDArray[Any]) -> dict[str, Any]:
    """One figure, with the seconds of CPU that it took."""
    start = time.process_time()
    if method == "float":
        made: dict[str, Any] = {"right": float_right(task, x, y)}
    else:
        made = integer_right(task, method, bits, x, y)
    return {"samples": len(y), "seconds": round(time.process_time() - start, 1)} | made


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
    lines += ["", "Memory and time (compile and run) are PTQ's.", ""]
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
        if task.name not in options.task or not task.model.exists():
            continue
        x, y = task.test(options.shared)
        for method, bits in wanted(task, options.method, options.bits):
            name = method if method == "float" else f"{method}-{bits}"
            made = count(task, method, bits, x, y)
            print(f"{task.name} {name}: {made}", flush=True)
            results.setdefault(task.name, {})[name] = made
            RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
