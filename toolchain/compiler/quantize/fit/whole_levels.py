"""Which whole numbers stand for the levels of an integer neuron."""

from __future__ import annotations

from itertools import pairwise

from ....ir.stairs import Level, Stairs
from .ties import last_silent


def whole_levels(
    of: Stairs, unit: float, lost: float = 0.0
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Levels up and down on whole numbers at `unit` of them per 1.0, None where two are one.

    lost  by how much sums are lower than they should be, as rounding down makes them
    """

    def whole(levels: tuple[Level, ...], off: float) -> list[int]:
        return [last_silent(at * unit + off, reached) for at, reached in levels]

    up, down = whole(of.up, -lost), whole(of.down, lost)
    rising = all(a < b for side in (up, down) for a, b in pairwise(side))
    if not rising or min((*up, *down)) < 0:
        return None
    return tuple(up), tuple(-d for d in down)
