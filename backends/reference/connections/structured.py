"""Structured: one weight on a pattern of identity, transpose, broadcast and sum."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Structured
from ..exponent import shift
from ..types import ConnectionRule, Synapses


def synapses(c: Structured, exponent: int, widths: Arithmetic) -> Synapses:
    """a[post labels] = w * sum over the labels only in pre of s[pre labels], then the exponent.

    Labels only in post repeat the value. It is a Sparse projection (integer semantics 3.1), so the
    sum wraps at 32 bits and the weight is clipped alike. s [B, pre] -> [B, post].
    """
    weight = widths.effective_weights(np.array([c.weight]))[0]
    pre, post = [label for label, _ in c.pre], [label for label, _ in c.post]
    summed = tuple(1 + i for i, label in enumerate(pre) if label not in post)
    kept = [label for label in pre if label in post]
    order = (0, *(1 + kept.index(label) for label in post if label in pre))
    aligned = tuple(n if label in pre else 1 for label, n in c.post)
    full = tuple(n for _, n in c.post)

    def apply(s: IntArray) -> IntArray:
        x = s.reshape(len(s), *(n for _, n in c.pre)).sum(axis=summed)
        x = x.transpose(order).reshape(len(s), *aligned)
        x = np.broadcast_to(x, (len(s), *full)).reshape(len(s), -1)
        return shift(wrap32(weight * x), exponent)

    return apply


RULE = ConnectionRule(synapses)
