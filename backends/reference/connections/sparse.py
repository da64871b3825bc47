"""Sparse: Dense that stores only the synapses that exist."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Sparse
from ..exponent import shift
from ..types import ConnectionRule, Synapses


def synapses(c: Sparse, exponent: int, widths: Arithmetic) -> Synapses:
    """Integer semantics 3.1: A[i] = i32(sum over k in row i of data[k] * s[indices[k]]), exponent.

    s [B, pre] -> [B, post].
    """
    weight = widths.effective_weights(c.data)
    rows = len(c.indptr) - 1
    filled = np.flatnonzero(np.diff(c.indptr))  # reduceat cannot express an empty row
    starts = c.indptr[filled]

    def apply(s: IntArray) -> IntArray:
        total = np.zeros((len(s), rows), dtype=np.int64)
        if filled.size:
            total[:, filled] = np.add.reduceat(s[:, c.indices] * weight, starts, axis=1)
        return shift(wrap32(total), exponent)

    return apply


RULE = ConnectionRule(synapses)
