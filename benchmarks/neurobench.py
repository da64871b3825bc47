"""How many spikes of NeuroBench's trained nets stay in integers; the table of docs/quantization.md.

    python benchmarks/neurobench.py

Reads the shared data; input is made up (tests/e2e/neurobench_nets.py). Each layer is compared with
snnTorch's own, in float64, on the spikes that it really receives.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e import neurobench_nets as nets  # noqa: E402

PAGE = ROOT / "docs" / "quantization.md"
BEGIN, END = "<!-- written by benchmarks/neurobench.py -->", "<!-- end -->"
CALIBRATE = 8
"""Samples that the scales are chosen on, of seed 0."""
UNSEEN = (50, 90, 130, 170)
"""Seeds of the sets that no scale was chosen on."""

Make = Callable[[int, int], np.ndarray]
"""Samples of a count and a seed."""


def rows(title: str, net: Any, make: Make, others: int) -> Iterator[str]:
    """A line of the table for each spiking layer; `others` samples in each unseen set."""
    x = make(CALIBRATE, 0)
    bundle = nets.compiled(net(), x, title)
    seen = nets.beside_snntorch(bundle, net(), x)
    sets = [nets.beside_snntorch(bundle, net(), make(others, seed)) for seed in UNSEEN]
    for i, (a, *unseen) in enumerate(zip(seen, *sets, strict=True), 1):
        name = f"{title}, T = {x.shape[1]}" if i == 1 else ""
        b = nets.Layer(*(sum(getattr(u, f.name) for u in unseen) for f in fields(nets.Layer)))
        worst = min(u.equal for u in unseen)
        yield (
            f"| {name} | {i} | {a.equal:.2%} of {a.spikes:,} | {b.equal:.2%} of {b.spikes:,} "
            f"| {worst:.2%} | {1 - b.wrong / b.steps:.3%} |"
        )


def main() -> int:
    """Measure, and write the page."""
    table = [
        f"Measured on {time.strftime('%Y-%m-%d')}; calibrated on {CALIBRATE} samples, unseen:"
        f" {len(UNSEEN)} sets of 8 (speech) and of 4 (gestures).",
        "",
        "| net | layer | equal spikes, calibration | equal spikes, unseen | the worst set |"
        " equal neuron-steps, unseen |",
        "|---|---|---|---|---|---|",
        *rows("speech commands", nets.speech_net, nets.speech, 8),
        *rows("gestures", nets.gesture_net, lambda n, seed: nets.gestures(n, 40, seed), 4),
    ]
    print("\n".join(table))
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN + "\n")
    _, after = rest.split(END, 1)
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join(table) + f"\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
