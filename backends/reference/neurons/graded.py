"""Graded: passes its summed input on as a payload."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Graded
from ..types import Cell


def step(n: Graded, a_in: IntArray) -> IntArray:
    """Integer semantics 2.2, GradedVec: s = a if |a| > vth else 0 (strict)."""
    return np.where(np.abs(a_in) > n.vth, a_in, 0)


RULE = Cell(lambda n, state, ports, widths: (None, step(n, ports["a_in"])))
