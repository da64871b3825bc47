"""Drawn nets in drawn states of training: torch beside the Program, and the file beside the model.

    python -m tests.unit.qat.trained_states STATES [FIRST]

Kinds of neuron x reset x recurrence x residual x sharing x bits, binary events and counts, pruned
or not; a state is the parameters moved at random, from a hundredth to all of their range.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

import sfx
from sfx.toolchain.ground.errors import SfxError
from tests.unit.qat.cells import (
    INPUTS,
    STEPS,
    Feedforward,
    Recurrent,
    Residual,
    Shared,
    body,
    prepared,
    samples,
)

KINDS = (
    (Feedforward, {}),
    (Feedforward, {"reset_mechanism": "zero"}),
    (Recurrent, {"reset": "subtract"}),
    (Recurrent, {"reset": "zero"}),
    (Recurrent, {"all_to_all": False}),
    (Recurrent, {"reset": "subtract", "all_to_all": False}),
    (Residual, {}),
    (Shared, {}),
)
BITS = (8, 8, 6, 4, 3, 2)
MOVES = (1e-2, 1e-1, 1.0)
"""Standard deviations, in shares of the largest weight or of a threshold."""


@dataclass
class Count:
    """What was compared; faults: what went wrong, in words."""

    states: int = 0
    compared: int = 0
    differ: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)


def net_of(number: int) -> tuple[nn.Module, np.ndarray, int]:
    """A net, its samples and its bits."""
    rng = np.random.default_rng(number)
    kind, options = KINDS[number % len(KINDS)]
    net = kind(**options)
    torch.manual_seed(number)
    with torch.no_grad():
        for weight in (q for q in net.parameters() if q.dim() == 2):
            weight.mul_(float(rng.uniform(0.5, 3)))
            if rng.random() < 0.3:
                weight[torch.rand(weight.shape) < 0.5] = 0
    counts = rng.poisson(0.8, (8, STEPS, INPUTS)).astype(np.int64)
    x = samples(8, number) if rng.random() < 0.7 else counts
    return net, x, int(rng.choice(BITS))


def check(number: int, count: Count, folder: Path) -> None:
    """Three states of one net."""
    net, x, bits = net_of(number)
    try:
        model = prepared(net, bits, x)
    except SfxError:  # a scale that fits no register is refused, before any training
        count.refused += 1
        return
    generator = torch.Generator().manual_seed(number)
    for move in MOVES:
        with torch.no_grad():
            for parameter in model.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise * move)
        found = sfx.qat.verify(model, x)
        count.states += 1
        count.compared += found.compared
        count.differ += found.mismatches
        file = folder / "tuned.safetensors"
        sfx.qat.save(model, file)
        expected = body(model, folder)
        if body(file, folder) != expected or body(sfx.qat.load(file), folder) != expected:
            count.faults.append(f"net {number}, moved by {move}: other bytes")


def main() -> None:
    """Print the counts; exit 1 if anything differs."""
    states, number = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    count = Count()
    with tempfile.TemporaryDirectory() as folder:
        while count.states < states:
            check(number, count, Path(folder))
            number += 1
    print(count)
    if count.differ or count.faults:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
