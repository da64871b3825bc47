"""Axes as factors of one size: what splits of one C order have in common.

The neurons of a population in C order may be seen along several sets of axes: heads x tokens x
channels by one projection, heads x (tokens channels) by another. Their common refinement are the
coarsest axes that all of them are products of, here called atoms.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

Shape = tuple[int, ...]
Positions = tuple[int, ...]


def tails(shape: Sequence[int]) -> list[int]:
    """Sizes of all tails of `shape`, from the whole down to 1: the strides of C order."""
    sizes = [1]
    for n in reversed(shape):
        sizes.append(sizes[-1] * n)
    return sizes[::-1]


def refine(*shapes: Sequence[int]) -> Shape | None:
    """The coarsest axes that all of `shapes` are products of, none of length 1.

    None if there are none: the sizes differ, or a shape cuts across another's axes (2 x 3, 3 x 2).
    """
    if len({prod(shape) for shape in shapes}) != 1:
        return None
    ends = sorted({size for shape in shapes for size in tails(shape)}, reverse=True)
    if any(x % y for x, y in pairwise(ends)):
        return None
    return tuple(x // y for x, y in pairwise(ends))


def runs(atoms: Sequence[int], shape: Sequence[int]) -> list[Positions]:
    """For each axis of `shape` the consecutive atoms whose product it is; () for length 1."""
    found, at = list[Positions](), 0
    for n in shape:
        start, size = at, 1
        while size < n:
            size *= atoms[at]
            at += 1
        found.append(tuple(range(start, at)))
    return found
