"""Least and greatest values of many neurons at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ..ground.arith import IntArray


@dataclass(frozen=True, eq=False)
class Bound:
    """Least and greatest value of each neuron [size]; low <= 0 <= high.

    Where all neurons have the same, the arrays are [1]: coincidences are counted in millions.
    """

    low: IntArray
    high: IntArray

    @property
    def largest(self) -> IntArray:
        """Greatest magnitude of each neuron, [size] or [1]."""
        return np.maximum(-self.low, self.high)


Ports = Mapping[str, Bound]
"""What each port can receive."""


def product_bound(a: Bound, b: Bound) -> Bound:
    """Bound of the elementwise product."""
    ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Bound(reduce(np.minimum, ends), reduce(np.maximum, ends))


def difference(a: Bound, b: Bound) -> Bound:
    """What a part of the sources adds, where `a` is the bound of all and `b` of the others."""
    return Bound(a.low - b.low, a.high - b.high)
