"""Structured: one weight on a pattern of labelled axes."""

from __future__ import annotations

import numpy as np

from ....toolchain.ir.program import Structured
from ..body import INT64, Scope
from ..forms import ConnectionForm, How
from ..sums import scaled


def connect(c: Structured, at: Scope, x: str, how: How) -> str:
    """w * the sum over labels only in pre, repeated along labels only in post."""
    weight = int(how.widths.effective_weights(np.array([c.weight]))[0])
    pre, post = [label for label, _ in c.pre], [label for label, _ in c.post]
    x = at.reshape(at.cast(x, INT64), *(n for _, n in c.pre))
    summed = [i for i, label in enumerate(pre) if label not in post]
    if summed:
        x = at.op("ReduceSum", x, at.array(np.array(summed, dtype=np.int64)), keepdims=0)
    kept = [label for label in pre if label in post]
    order = [kept.index(label) for label in post if label in kept]
    if order != sorted(order):
        x = at.op("Transpose", x, perm=order)
    if any(label not in kept for label in post):
        x = at.reshape(x, *(n if label in kept else 1 for label, n in c.post))
        x = at.op("Expand", x, at.array(np.array([n for _, n in c.post], dtype=np.int64)))
    if weight != 1:
        x = at.op("Mul", x, at.number(weight))
    return scaled(at, at.reshape(x, -1), how.exponent)


RULE = ConnectionForm(connect)
