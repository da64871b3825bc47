"""Product: multiplies its two inputs."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ir.program import Product
from ..types import Cell


def step(n: Product, a_in1: IntArray, a_in2: IntArray) -> IntArray:
    """Integer semantics 2.2, ProdNeuron: v = i32(a1 * a2) >> exp; s = v if |v| > vth else 0.

    It wraps before it shifts; the shift is floor.
    """
    v = wrap32(a_in1 * a_in2) >> n.exp
    return np.where(np.abs(v) > n.vth, v, 0)


RULE = Cell(lambda n, state, ports, widths: (None, step(n, ports["a_in1"], ports["a_in2"])))
