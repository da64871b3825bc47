"""How two populations are wired, axis by axis: what mapping needs to know of a projection.

A projection links axes of pre with axes of post: a convolution links rows with the rows of its
window, an attention pattern links equal tokens, a dense layer links nothing (all to all). So the
traffic between two tiles is a product over axes, and no neuron is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ir.program import (
    Conv2d,
    Dense,
    Population,
    Program,
    Projection,
    Shape,
    Structured,
    View,
)

Positions = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Link:
    """pre axes and post axes (each read as one number in C order) that must meet.

    relation  bool [pre length, post length]; None: the two numbers are equal
    """

    pre: Positions
    post: Positions
    relation: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Pattern:
    """A projection on the flat C order of both populations; axes that no link names are free.

    channels  positions of the post axes that make up a convolution's out channels
    """

    pre: Shape
    post: Shape
    links: tuple[Link, ...] = ()
    channels: Positions = ()


def pattern(j: Projection, pre_size: int, post_size: int) -> Pattern | None:
    """The projection axis by axis; None where it is irregular (Sparse, or views that cut axes)."""
    match j.connection:
        case Dense():
            return Pattern((pre_size,), (post_size,)) if not (j.pre_view or j.post_view) else None
        case Structured() as s:
            return _structured(s, j)
        case Conv2d() as c:
            return _conv(c, j)
        case _:
            return None


def _structured(s: Structured, j: Projection) -> Pattern | None:
    pre = _seen(tuple(n for _, n in s.pre), j.pre_view, entering=True)
    post = _seen(tuple(n for _, n in s.post), j.post_view, entering=False)
    if pre is None or post is None:
        return None
    where = {label: i for i, (label, _) in enumerate(s.pre)}
    links = tuple(
        Link(pre[1][where[label]], post[1][i])
        for i, (label, _) in enumerate(s.post)
        if label in where
    )
    return Pattern(pre[0], post[0], links)


def _conv(c: Conv2d, j: Projection) -> Pattern | None:
    pre = _seen(c.in_shape, j.pre_view, entering=True)
    post = _seen(c.out_shape, j.post_view, entering=False)
    if pre is None or post is None:
        return None
    links = [
        Link(pre[1][axis], post[1][axis], _window(c, axis - 1))
        for axis in (1, 2)
        if c.in_shape[axis] > 1 or c.out_shape[axis] > 1
    ]
    if c.groups > 1:
        group_in = np.arange(c.in_shape[0]) // c.weight.shape[1]
        group_out = np.arange(c.out_shape[0]) // (c.out_shape[0] // c.groups)
        links.append(Link(pre[1][0], post[1][0], group_in[:, None] == group_out))
    return Pattern(pre[0], post[0], tuple(links), post[1][0])


def _window(c: Conv2d, axis: int) -> NDArray[np.bool_]:
    """Rows (axis 0) or columns (axis 1) of the input that reach those of the output."""
    taps = np.arange(c.weight.shape[2 + axis]) * c.dilation[axis] - c.padding[axis]
    at = np.arange(c.out_shape[1 + axis])[:, None] * c.stride[axis] + taps
    out: NDArray[np.bool_] = (np.arange(c.in_shape[1 + axis])[:, None, None] == at[None]).any(
        axis=2
    )
    return out


def _seen(
    shape: Shape, view: View | None, *, entering: bool
) -> tuple[Shape, tuple[Positions, ...]] | None:
    """A connection's axes on the population's flat order, through a view.

    Returns the population's axes and, for each axis of `shape`, the positions that make it up.
    """
    if view is None:
        return shape, tuple((i,) for i in range(len(shape)))
    # pre_view: connection order = transposed; post_view: population order = transposed
    side = tuple(view.split[o] for o in view.order) if entering else view.split
    atoms = refine(shape, side)
    if atoms is None:
        return None
    runs = _runs(atoms, side)
    order = np.argsort(view.order).tolist() if entering else view.order
    moved = [atom for o in order for atom in runs[o]]
    place = {atom: i for i, atom in enumerate(moved)}
    mine = _runs(atoms, shape)
    return (
        tuple(atoms[a] for a in moved),
        tuple(tuple(place[a] for a in run) for run in mine),
    )


def refine(a: Sequence[int], b: Sequence[int]) -> Shape | None:
    """The coarsest axes that both `a` and `b` are products of; None if there are none."""
    ends = sorted(set(_strides(a)) | set(_strides(b)), reverse=True)
    if prod(a) != prod(b) or any(x % y for x, y in pairwise(ends)):
        return None
    return tuple(x // y for x, y in pairwise(ends)) or (1,)


def _strides(shape: Sequence[int]) -> list[int]:
    """Sizes of all tails of `shape`, from the whole down to 1."""
    return [prod(shape[i:]) for i in range(len(shape) + 1)]


def _runs(atoms: Shape, shape: Shape) -> list[Positions]:
    """For each axis of `shape` the consecutive atoms whose product it is."""
    runs, at = [], 0
    for n in shape:
        start, size = at, 1
        while size < n:
            size *= atoms[at]
            at += 1
        runs.append(tuple(range(start, at)))
    return runs


def tile_axes(program: Program, population: Population) -> Shape:
    """The axes along which a population is cut: those of its convolution, else of its patterns."""
    incoming = program.incoming[population.name]
    patterns = [pattern(j, program[j.pre].size, population.size) for j in incoming]
    known = [p for p in patterns if p is not None]
    weighted = [p.post for p in known if p.channels]
    if weighted:
        return _tidy(weighted[0])
    if len(known) < len(patterns) or not known:
        return (population.size,)
    axes: Shape = (population.size,)
    for p in known:
        axes = refine(axes, p.post) or axes
    return _tidy(axes)


def _tidy(axes: Shape) -> Shape:
    return tuple(n for n in axes if n > 1) or (1,)
