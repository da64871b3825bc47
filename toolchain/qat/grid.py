"""Which integers a trained layer may hold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..compiler.quantize.fit.mantissa import Grid
from ..ground.arith import IntArray
from ..ir.graph import FloatArray

TOP = 256
"""Mantissas are within -256..255 (semantics 3.1); parameters are in shares of it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The legal mantissas of one layer's weights [O, ...]: those of `grid` in low..high.

    part  [O] the projection that carries each output channel
    """

    grid: Grid
    low: int
    high: int
    part: IntArray

    @staticmethod
    def around(weight: IntArray, bits: int, part: IntArray) -> Rows:
        """Mixed signs, unless `weight` has one sign and holds what mixed signs cannot."""
        mixed = Grid.of(True, bits)
        if np.array_equal(mixed.round(weight.astype(np.float64)), weight):
            return Rows(mixed, mixed.low, mixed.high, part)
        single = Grid.of(False, bits)
        positive = weight.max(initial=0) > 0
        return Rows(single, 0 if positive else single.low, single.high if positive else 0, part)

    def round(self, scaled: FloatArray) -> FloatArray:
        """The nearest legal mantissas: the quantizer's own rounding."""
        near = self.grid.round(np.clip(scaled, self.low, self.high))
        if near.min(initial=0) > -TOP:
            return near
        for i in np.unique(self.part):
            rows = self.part == i
            near[rows] = self.grid.alone(near[rows])
        return near
