"""Which integers a trained layer may hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..compiler.quantize.fit.mantissa import Grid
from ..compiler.quantize.state.mantissas import WeightBits
from ..ground.arith import IntArray
from ..ir.graph import FloatArray


@dataclass(frozen=True, eq=False)
class Rows:
    """The legal mantissas of one layer's weights [O, ...]: those of `grid` in low..high.

    part  [O] the projection that carries each output channel
    top   mantissas are within -top..top - 1 (semantics 3.1; 256 of 8 bits); parameters are in
          shares of it
    """

    grid: Grid
    low: int
    high: int
    part: IntArray
    top: int

    @staticmethod
    def around(weight: IntArray, bits: WeightBits, part: IntArray) -> Rows:
        """Mixed signs, unless `weight` has one sign and holds what mixed signs cannot."""
        mixed = Grid.of(True, bits)
        if np.array_equal(mixed.round(weight.astype(np.float64)), weight):
            return Rows(mixed, mixed.low, mixed.high, part, bits.sizes)
        single = Grid.of(False, bits)
        positive = weight.max(initial=0) > 0
        low, high = (0, single.high) if positive else (single.low, 0)
        return Rows(single, low, high, part, bits.sizes)

    @property
    def largest(self) -> int:
        """The greatest magnitude."""
        return max(-self.low, self.high)

    def round(self, scaled: FloatArray) -> FloatArray:
        """The nearest legal mantissas: the quantizer's own rounding."""
        near = self.grid.round(np.clip(scaled, self.low, self.high))
        if near.min(initial=0) > -self.top:
            return near
        for i in np.unique(self.part):
            rows = self.part == i
            near[rows] = self.grid.alone(near[rows])
        return near


@dataclass(frozen=True, eq=False)
class TwoTerms:
    """As `Rows`, of weights that are the sum of two terms: whole numbers in low..high.

    bits  of the second term: the first holds multiples of 2^bits
    """

    low: int
    high: int
    bits: int
    top: int

    @staticmethod
    def around(weight: IntArray, bits: int, held: int) -> TwoTerms:
        """At least as far as `weight` reaches; held: bits of a synapse."""
        top = 1 << (held - 1 + bits)
        most = max(top - (1 << bits), int(np.abs(weight).max(initial=0)))
        return TwoTerms(-most, most, bits, top)

    @property
    def largest(self) -> int:
        """The greatest magnitude."""
        return self.high

    def round(self, scaled: FloatArray) -> FloatArray:
        """The nearest. Beside none of the other sign the first term does not reach -256 (of 8
        bits), so all of one sign end one multiple earlier, whichever it is.
        """
        near: FloatArray = np.clip(np.rint(scaled), self.low, self.high)
        step = 1 << self.bits
        if near.max(initial=0) < step or near.min(initial=0) > -step:
            most = self.top - step
            near = near.clip(-most, most)
        return near
