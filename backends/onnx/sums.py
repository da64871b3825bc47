"""Weighted sums in ONNX operators."""

from __future__ import annotations

import numpy as np

from ...toolchain.ground.arith import IntArray
from .arithmetic import floor_shift, wrap
from .body import INT32, INT64, Scope


def matmul(at: Scope, weight: IntArray, x: str, binary: bool) -> str:
    """weight @ x as int64. 32 bits where they provably hold every sum: 0/1 spikes, sum|w| < 2^31.

    The narrower kernel is several times quicker.
    """
    narrow = binary and int(np.abs(weight).sum(axis=-1).max(initial=0)) < 1 << 31
    kind = INT32 if narrow else INT64
    total = at.op("MatMul", at.weights(weight, kind), at.cast(x, kind))
    return at.cast(total, INT64) if narrow else total


def scaled(at: Scope, total: str, exponent: int) -> str:
    """out = i32(A << e) if e > 0 else A >> -e (floor), with A = i32(total)."""
    total = wrap(at, total, 32)
    if exponent > 0:
        return wrap(at, at.op("Mul", total, at.number(1 << exponent)), 32)
    return floor_shift(at, total, -exponent)
