"""Integer neurons: what is sent in a step, as levels that the membrane passes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import graph as g
from .graph import FloatArray
from .single import single

MOST_LEVELS = 200
"""Spikes of one step that an integer neuron may send: each is a comparison on the chip. They fit a
byte, and published nets have up to 16."""

Level = tuple[float, bool]
"""Where what is sent changes by one; whether the membrane need only reach it."""


@dataclass(frozen=True)
class Stairs:
    """s = (number of `up` that v passes) - (number of `down` that -v passes).

    up, down  rising levels above 0, one for each spike of that sign
    """

    up: tuple[Level, ...]
    down: tuple[Level, ...] = ()

    @property
    def most(self) -> int:
        """Spikes of one step at the most, whatever their sign."""
        return max(len(self.up), len(self.down))

    def count(self, v: FloatArray) -> FloatArray:
        """What is sent at real numbers v."""
        sent: FloatArray = np.zeros(v.shape)
        for sign, levels in ((1.0, self.up), (-1.0, self.down)):
            for at, reached in levels:
                sent += sign * (sign * v >= at if reached else sign * v > at)
        return sent

    @property
    def signed(self) -> bool:
        """Whether it also sends numbers below 0."""
        return bool(self.down)


def stairs(op: g.Op) -> Stairs | None:
    """The levels of an integer neuron; None for neurons that fire once, and where n has no bound.

    round   halves go to the even number: 1.5 thresholds are two spikes, 2.5 are two as well
    many    one spike for every threshold
    signed  one spike of either sign
    """
    if not isinstance(op, g.LIF | g.IF):
        return None
    top = op.threshold
    if op.fires == "signed":
        return Stairs(((top, op.reached),), ((top, op.reached),))
    if not 1 <= op.most <= MOST_LEVELS:
        return None
    if op.fires == "round":
        return Stairs(tuple(((j + 0.5) * top, j % 2 == 1) for j in range(op.most)))
    if op.fires == "many":
        return Stairs(tuple(((j + 1) * top, op.reached) for j in range(op.most)))
    return None


def signed_spikes(op: g.LIF | g.IF, v: FloatArray) -> FloatArray:
    """-1, 0 or 1 of a neuron with a threshold on either side, at float32 numbers v."""
    threshold = float(single(op.threshold))
    size = np.abs(v)
    over = size >= threshold if op.reached else size > threshold
    return np.where(over, np.sign(v), 0.0)
