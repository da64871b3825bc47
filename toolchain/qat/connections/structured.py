"""Structured: one weight on a pattern of labelled axes."""

from __future__ import annotations

from torch import Tensor

from ...ir.program import Structured
from ..rules import ConnectionRule


def spread(c: Structured, x: Tensor) -> Tensor:
    """Sums the labels only in pre, repeats along those only in post."""
    x = x.reshape(len(x), *(n for _, n in c.pre))
    kept = [label for label, _ in c.post if label in dict(c.pre)]
    before = [label for label, _ in c.pre]
    summed = [1 + i for i, label in enumerate(before) if label not in kept]
    if summed:
        x = x.sum(summed)
    left = [label for label in before if label in kept]
    x = x.permute(0, *(1 + left.index(label) for label in kept))
    x = x.reshape(len(x), *(n if label in kept else 1 for label, n in c.post))
    return x.expand(len(x), *(n for _, n in c.post)).reshape(len(x), -1)


RULE = ConnectionRule(
    lambda c, post: lambda x, w: spread(c, x) * w,
    lambda c, most: abs(c.weight) * float(c.summed),
)
