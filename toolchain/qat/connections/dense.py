"""Dense: one weight per pair of neurons."""

from __future__ import annotations

from torch.nn import functional

from ...ir.program import Conv2d, Dense
from ..rules import ConnectionRule


def largest_sum(c: Dense | Conv2d, most: int | None) -> float:
    """Of a row, with the largest weights that training can give it."""
    rows = c.weight.reshape(len(c.weight), -1)
    return (
        float(most * rows.shape[1]) if most is not None else float(abs(rows).sum(1).max(initial=0))
    )


RULE = ConnectionRule(lambda c, post: functional.linear, largest_sum)
