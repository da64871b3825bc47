"""Where the integers meet their threshold: measured beside the real membrane, on the data.

Floors, rounded constants, weights and decays all shift v a little, each neuron's by its own amount.
Where a neuron is driven by its bias alone, a shift of a thousandth of the threshold moves every
spike that comes late or early by it. So both membranes run on the same spikes, those of the real
one, and the threshold takes over what lies between them where the real one is near it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ....ir.graph import FloatArray
from ..fit.real import RealCell
from .draft import Draft
from .run import traced
from .seen import Seen
from .terms import Cell

NEAR = 0.1
"""Of the threshold: how close to it the real membrane is where the two are compared."""
Late = Callable[[Draft, RealCell, float, FloatArray], Cell | None]
"""As `compared_cell`."""
FEW = 4
"""Steps near the threshold from which a neuron's own shift is believed."""


def met(make: Late, draft: Draft, real: RealCell, cell: Cell, reached: Seen) -> Cell:
    """The cell that `make` made, its thresholds moved to where its integers meet them.

    The same cell where they then fit no register.
    """
    late = _late(draft, real, cell, reached)
    return make(draft.fresh(draft.seen), real, cell.scale, late) or cell


def _late(draft: Draft, real: RealCell, cell: Cell, reached: Seen) -> FloatArray:
    """How far v lies above the real one near the threshold, on average over steps [n]."""
    node = draft.node.name
    fed = -reached.spikes.astype(np.int64)
    fed[:, -1] = 0  # F is silent then
    _, ports = traced(draft.state, node, cell, draft.state.sent, {f"{node}.feedback": fed})
    above = -ports[f"{node}.compare", "a_in1"]  # of the integer threshold
    wanted = (reached.before - np.float64(real.threshold)) * cell.scale
    near = np.abs(reached.before - real.threshold) < NEAR * real.threshold
    steps = near.sum((0, 1))
    shift = np.where(near, above - wanted, 0.0).sum((0, 1)) / np.maximum(steps, 1)
    return np.where(steps >= FEW, shift, 0.0)
