"""The shared exponent of a projection: it shifts the sum, not each weight."""

from __future__ import annotations

from ...toolchain.ground.arith import IntArray, wrap32


def shift(total: IntArray, exponent: int) -> IntArray:
    """Integer semantics 3.1: out = i32(A << e) if e > 0 else A >> -e (floor)."""
    return wrap32(total << exponent) if exponent > 0 else total >> -exponent
