"""Does the torch model compute its Program? Every value of every population, counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..data import Samples, not_negative, samples_of
from ..ir.program import Program
from .model import QatModel

Progress = Callable[[int, int], None]
BATCH = 32


@dataclass(frozen=True)
class Equality:
    """What was compared.

    compared     values, over all populations, neurons, steps and samples
    mismatches   of them that differ
    populations  compared;  silent  names of those that sent nothing on any sample
    first        (population, sample, step, neuron, Program's value, torch's), or None
    """

    samples: int
    compared: int
    mismatches: int
    populations: int
    silent: tuple[str, ...]
    first: tuple[str, int, int, int, int, int] | None

    @property
    def equal(self) -> bool:
        """True if something was compared and nothing differs."""
        return self.compared > 0 and self.mismatches == 0


def verify(
    model: QatModel,
    x: Samples,
    *,
    program: Program | None = None,
    progress: Progress | None = None,
) -> Equality:
    """Compare `model` with its Program on the reference backend, spike for spike.

    x        events [K, T, *input shape] as of `sfx.verify`
    program  compare with this one instead, to see that the comparison can fail
    Raises InputError (SFX-E361, E510, E511, E611, E616) for x.
    """
    from ...backends.reference.backend import ReferenceBackend

    expected_of = program or model.program()
    x = samples_of(x, "x").x
    not_negative(x, "x")
    device = next(model.parameters()).device
    compared = mismatches = 0
    first = None
    active: set[str] = set()
    for start in range(0, len(x), BATCH):
        part = x[start : start + BATCH]
        events = torch.from_numpy(part.astype(np.float32)).transpose(0, 1).to(device)
        mine = model.spikes(events)
        expected = ReferenceBackend().layers(expected_of, part.astype(np.int64))
        for name, value in expected.items():
            got = mine[name].transpose(0, 1).cpu().double().numpy()
            wrong = got != value
            compared += value.size
            mismatches += int(wrong.sum())
            if value.any():
                active.add(name)
            if first is None and wrong.any():
                first = _first(name, start, wrong, value, got)
        if progress is not None:
            progress(min(start + BATCH, len(x)), len(x))
    names = [q.name for q in expected_of]
    silent = tuple(n for n in names if n not in active)
    return Equality(len(x), compared, mismatches, len(names), silent, first)


def _first(
    name: str, start: int, wrong: NDArray[Any], value: NDArray[Any], got: NDArray[Any]
) -> tuple[str, int, int, int, int, int]:
    flat = wrong.reshape(*wrong.shape[:2], -1)
    sample, step, neuron = (int(i[0]) for i in np.nonzero(flat))
    at = (sample, step, neuron)
    expected, mine = value.reshape(flat.shape)[at], got.reshape(flat.shape)[at]
    return name, start + sample, step, neuron, int(expected), int(mine)
