"""What the host makes of the read-out's steps."""

from __future__ import annotations

import math

import numpy as np

from ...ground.errors import UnsupportedError
from ...ir import graph as g
from ...ir import program as p
from ...ir.check_program import MOST_OFFSET

WEIGHT_BITS = 15
"""Of the largest weight of a step: a power of two times it, so that dyadic weights stay exact."""


def read_out(node: g.Node, bias: g.FloatArray, scale: float, timesteps: int) -> p.Readout:
    """The read-out of what `node` sends, integers at `scale` per 1.0; bias [n] real, per step.

    Raises UnsupportedError SFX-E311 for a bias that no offset of 62 bits holds.
    """
    op = node.op
    assert isinstance(op, g.Output)
    if op.reduce == "max":
        return p.Readout(node.name, scale, _offset(node, bias * scale), largest=True)
    if op.reduce == "weighted":
        unit = _unit(op.weights)
        weights = tuple(round(w * unit) for w in op.weights)
        offset = _offset(node, bias * scale * sum(op.weights) * unit)
        return p.Readout(node.name, scale * unit, offset, weights)
    count = timesteps if op.reduce == "mean" else 1
    return p.Readout(node.name, scale * count, _offset(node, bias * scale * timesteps))


def _unit(weights: tuple[float, ...]) -> float:
    """Whole numbers per 1.0 of a weight: 1 where all are whole, else as many as fit."""
    largest = max((abs(w) for w in weights), default=0.0)
    if largest == 0.0 or (all(w == round(w) for w in weights) and largest < 1 << WEIGHT_BITS):
        return 1.0
    return 2.0 ** (WEIGHT_BITS - math.ceil(math.log2(largest)))


def _offset(node: g.Node, values: g.FloatArray) -> tuple[int, ...]:
    if not np.all(np.abs(values) < MOST_OFFSET):
        raise UnsupportedError(
            "SFX-E311",
            f"the bias of the read-out adds {np.abs(values).max():.3g} to a sum of 64 bits",
            where=node.module or node.name,
            hint="scale the last layer's bias or the weights of the steps down",
        )
    return tuple(int(v) for v in np.rint(values))
