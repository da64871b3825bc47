"""Drawn nets in drawn states of training: torch beside the Program, and the file beside the model.

    python -m tests.unit.qat.trained_states STATES [FIRST]

Kinds of neuron x reset x recurrence x residual x sharing x bits, binary events and counts, pruned
or not; a state is the parameters moved at random, from a hundredth to all of their range. The kinds
take turns, so equally many states from a multiple of them compare equally many values. In every
second round thresholds, leaks and scales are trained too, where the kind has them (soft resets:
scales).
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

import sfx
from sfx.backends.base import align
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.formats.fine_tuned import TRAINED, USUAL
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir.program import Population
from sfx.toolchain.qat import run
from sfx.toolchain.qat.model import QatModel
from sfx.toolchain.qat.ticks import ticked
from tests.unit.qat.cells import INPUTS, KINDS, STEPS, Feedforward, body, prepared, samples

BITS = (8, 8, 6, 4, 3, 2)
SUBTRACTING = ((Feedforward, {}), *(k for k in KINDS if "subtract" in k[1].values()))
"""Kinds whose thresholds are also what a reset takes."""
MOVES = (1e-2, 1e-1, 1.0)
"""Standard deviations, in shares of the largest weight or of a threshold."""


@dataclass
class Count:
    """What was compared.

    compared   values that populations send, silent ones and the input left out
    membranes  u and v after a sample's last step, of neurons that keep them: one unit too many
               moves hardly a spike
    nonzero    of both
    faults     what went wrong, in words
    """

    states: int = 0
    compared: int = 0
    membranes: int = 0
    nonzero: int = 0
    differ: int = 0
    refused: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, mine: np.ndarray, wanted: np.ndarray) -> int:
        """Count these values; how many."""
        self.nonzero += int(np.count_nonzero(wanted))
        self.differ += int(np.count_nonzero(mine != wanted))
        return int(wanted.size)


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


def trained_of(number: int) -> tuple[str, ...]:
    """What is trained of a net."""
    options = KINDS[number % len(KINDS)]
    if number // len(KINDS) % 2 == 0:
        return USUAL
    return (*USUAL, "scales") if options in SUBTRACTING else TRAINED


def compare(model: QatModel, x: np.ndarray, count: Count) -> None:
    """One state beside its Program, samples back to back."""
    program = BalanceDelays(62).run(model.program())
    stream = ReferenceBackend().stream(program, x, states=True)
    left: dict[str, tuple[Tensor, ...]] = {}
    neuron = run._Pass._neuron

    def noted(self: run._Pass, q: Population, *given: Any) -> tuple[Tensor, Any]:
        sent, state = neuron(self, q, *given)
        left[q.name] = state or ()
        return sent, state

    with patch.object(run._Pass, "_neuron", noted):
        sent = model.spikes(torch.from_numpy(x).float().transpose(0, 1))

    def of(record: np.ndarray, name: str) -> np.ndarray:
        return align(record, program[name].phase, len(x), STEPS)

    count.states += 1
    for name, mine in sent.items():
        wanted = of(stream.spikes[name], name)
        if name != program.input.name and wanted.any():
            count.compared += count.add(mine.transpose(0, 1).numpy(), wanted)
    # a tick brings a copy's membrane down, which training has no need of
    for name in left.keys() - set(ticked(program)):
        for mine, record in zip(left[name], (stream.u, stream.v), strict=False):
            count.membranes += count.add(mine.numpy(), of(record[name], name)[:, -1])


def check(number: int, count: Count, folder: Path) -> None:
    """Three states of one net."""
    net, x, bits = net_of(number)
    try:
        model = prepared(net, bits, x, trained_of(number))
    except SfxError as error:  # a scale that fits no register is refused, before any training
        if error.code != "SFX-E310":
            raise
        count.refused += 1
        return
    generator = torch.Generator().manual_seed(number)
    for move in MOVES:
        with torch.no_grad():
            for parameter in model.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise * move)
        compare(model, x, count)
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
