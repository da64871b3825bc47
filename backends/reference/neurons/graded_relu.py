"""GradedReLU: passes its summed input on where it is positive."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import GradedReLU
from ..types import Cell


def step(n: GradedReLU, a_in: IntArray) -> IntArray:
    """Integer semantics 2.2, GradedReluVec: s = a if a > vth else 0 (strict)."""
    return np.where(a_in > n.vth, a_in, 0)


RULE = Cell(lambda n, state, ports, widths: (None, step(n, ports["a_in"])))
