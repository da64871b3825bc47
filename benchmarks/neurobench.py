"""How many spikes of NeuroBench's trained nets stay in integers; the table of docs/quantization.md.

    python benchmarks/neurobench.py

Reads the shared data; input is made up (tests/e2e/neurobench_nets.py). Each layer is compared with
snnTorch's own, in float64, on the spikes that it really receives.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e import neurobench_nets as nets  # noqa: E402

PAGE = ROOT / "docs" / "quantization.md"
BEGIN, END = "<!-- written by benchmarks/neurobench.py -->", "<!-- end -->"
UNSEEN = 50
"""Seed of the samples that no scale was chosen on."""

Make = Callable[[int, int], np.ndarray]
"""Samples of a count and a seed."""


def rows(title: str, net: Any, make: Make, calibrate: int, others: int) -> Iterator[str]:
    """A line of the table for each spiking layer."""
    x = make(calibrate, 0)
    bundle = nets.compiled(net(), x, title)
    seen = nets.beside_snntorch(bundle, net(), x)
    unseen = nets.beside_snntorch(bundle, net(), make(others, UNSEEN))
    for i, (a, b) in enumerate(zip(seen, unseen, strict=True), 1):
        name = f"{title}, T = {x.shape[1]}" if i == 1 else ""
        yield (
            f"| {name} | {i} | {a.spikes:,} | {1 - a.wrong / a.steps:.2%} | {a.equal:.2%} "
            f"| {b.equal:.2%} of {b.spikes:,} |"
        )


def main() -> int:
    """Measure, and write the page."""
    table = [
        f"Measured on {time.strftime('%Y-%m-%d')}; calibrated on 3 samples each, unseen: 8 and 4.",
        "",
        "| net | layer | spikes | equal neuron-steps | equal spikes | on unseen samples |",
        "|---|---|---|---|---|---|",
        *rows("speech commands", nets.speech_net, nets.speech, 3, 8),
        *rows("gestures", nets.gesture_net, lambda n, seed: nets.gestures(n, 40, seed), 3, 4),
    ]
    print("\n".join(table))
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN + "\n")
    _, after = rest.split(END, 1)
    PAGE.write_text(f"{before}{BEGIN}\n" + "\n".join(table) + f"\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
