"""The integer weights of one population, as the quantizer keeps them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ground.arith import IntArray
from ....ir.graph import FloatArray


@dataclass(frozen=True)
class WeightBits:
    """Bits of a weight: those in use, the upper ones of those that a synapse of the target holds.

    2 <= used <= held
    """

    used: int
    held: int

    @property
    def every(self) -> WeightBits:
        """All bits of the synapse in use."""
        return WeightBits(self.held, self.held)

    @property
    def sizes(self) -> int:
        """Whole numbers that the magnitude of a mantissa can be."""
        return 1 << self.held


@dataclass(frozen=True, eq=False)
class Mantissas:
    """Integer weights of the projections of one population.

    A wire (real weights [O, ...]) becomes one part, or several that each hold some of its output
    channels and 0 in the others, so that channels with small weights get a smaller exponent.

    weights   one int64 array per part: real weight * gain * 2**headroom, rounded
    headroom  left shifts that each part has beyond the shared scale (its exponent is lower by as
              much)
    wires     index of the wire that each part belongs to
    gain      mantissa units per 1.0 of real weight where the headroom is 0
    clipped   weights cut off at the largest mantissa
    """

    weights: tuple[IntArray, ...]
    headroom: tuple[int, ...]
    wires: tuple[int, ...]
    gain: float
    clipped: int

    def values(self) -> tuple[FloatArray, ...]:
        """Weights of each wire in units of the gain: the parts with their headroom undone."""
        out: list[FloatArray] = []
        for wire in range(max(self.wires, default=-1) + 1):
            parts = zip(self.weights, self.headroom, self.wires, strict=True)
            own = [w * 2.0**-headroom for w, headroom, index in parts if index == wire]
            out.append(np.sum(own, axis=0))
        return tuple(out)
