"""Dense: one weight per pair of neurons."""

from __future__ import annotations

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Dense
from ..exponent import shift
from ..types import ConnectionRule, Synapses


def synapses(c: Dense, exponent: int, widths: Arithmetic) -> Synapses:
    """Integer semantics 3.1: A = i32(W @ s), then the exponent; W clipped and truncated to 8 bits.

    s [B, pre] -> [B, post].
    """
    weight = widths.effective_weights(c.weight)

    def apply(s: IntArray) -> IntArray:
        return shift(wrap32(s @ weight.T), exponent)

    return apply


RULE = ConnectionRule(synapses)
