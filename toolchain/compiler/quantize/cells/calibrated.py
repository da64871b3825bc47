"""Where the integers meet their threshold: measured beside the real membrane, on the data.

Floors, rounded constants, weights and decays all shift v a little, each neuron's by its own amount.
Where a neuron is driven by its bias alone, a shift of a thousandth of the threshold moves every
spike that comes late or early by it. So both membranes run on the same spikes, those of the real
one, and the threshold takes over what lies between them where the real one is near it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....ir.graph import FloatArray
from ..fit.real import RealCell
from .draft import Draft
from .run import traced
from .seen import Seen
from .terms import Cell

NEAR = 0.1
"""Of the threshold: how close to it the real membrane is where the two are compared."""
FEW = 4
"""Steps near the threshold from which a neuron's own offset is believed."""

Make = Callable[[Draft, RealCell, float, FloatArray], Cell | None]
"""`compared_cell` or `leaking_cell`."""


def calibrated(
    make: Make, draft: Draft, real: RealCell, cell: Cell, reached: Seen
) -> tuple[Cell, float]:
    """The cell that `make` made, its thresholds moved by the offset of its membranes; and the wrong
    spikes that what is left of it should cost.

    An exact one stays as it is, and so does one whose moved thresholds fit no register.
    """
    if cell.exact:
        return cell, 0.0
    drift = _Drift.of(draft, real, cell, reached)
    moved = make(draft.fresh(draft.seen), real, cell.scale, drift.offset())
    if moved is None:
        return cell, drift.flips()
    return moved, _Drift.of(draft, real, moved, reached).flips()


@dataclass(frozen=True, eq=False)
class _Drift:
    """How far v lies above the real one where that one is `near` its threshold [K, T, n].

    unit  the threshold;  all in units of M
    """

    above: FloatArray
    near: NDArray[np.bool_]
    unit: float

    @classmethod
    def of(cls, draft: Draft, real: RealCell, cell: Cell, reached: Seen) -> _Drift:
        node = draft.node.name
        fed = -reached.spikes.astype(np.int64)
        fed[:, -1] = 0  # F is silent then
        _, ports = traced(draft.state, node, cell, draft.state.sent, {f"{node}.feedback": fed})
        mine = -ports[cell.fires, "a_in1"]  # of the integer threshold
        wanted = (reached.before - np.float64(real.threshold)) * cell.scale
        near = np.abs(reached.before - real.threshold) < NEAR * real.threshold
        return cls(np.where(near, mine - wanted, 0.0), near, real.threshold * cell.scale)

    def offset(self) -> FloatArray:
        """Its average over steps [n], in units of M."""
        steps = self.near.sum((0, 1))
        return np.where(steps >= FEW, self.above.sum((0, 1)) / np.maximum(steps, 1), 0.0)

    def flips(self) -> float:
        """Steps at which it should take v over its threshold, or keep it below.

        Where it is near, the real v is as likely at one distance from the threshold as at another.
        """
        if not self.near.any():
            return 0.0
        return float(np.abs(self.above).sum()) / (2 * NEAR * self.unit)
