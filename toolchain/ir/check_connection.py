"""Do the sizes of one connection agree with the populations at its ends?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from math import prod

import numpy as np

from ..ground.arith import IntArray
from .program import Connection, Conv2d, Dense, Sparse, Structured, View


def weights(connection: Connection) -> IntArray:
    """All weight mantissas of a connection, in any order."""
    match connection:
        case Dense() | Conv2d():
            return connection.weight
        case Sparse():
            return connection.data
        case Structured():
            return np.array([connection.weight])
        case _:
            raise TypeError(f"no weights of {type(connection).__name__}")


def arrays(connection: Connection) -> list[IntArray]:
    """All arrays of a connection."""
    if isinstance(connection, Sparse):
        return [connection.indptr, connection.indices, connection.data]
    return [] if isinstance(connection, Structured) else [weights(connection)]


@singledispatch
def faults(c: Connection, pre: int, post: int) -> Iterator[str]:
    """What does not fit `pre` neurons before and `post` neurons after the connection."""
    yield f"{type(c).__name__} is not a connection"


@faults.register
def _dense(c: Dense, pre: int, post: int) -> Iterator[str]:
    if c.weight.shape != (post, pre):
        yield f"weight {c.weight.shape}, expected [post, pre] = ({post}, {pre})"


@faults.register
def _sparse(c: Sparse, pre: int, post: int) -> Iterator[str]:
    if c.indptr.shape != (post + 1,) or c.indices.ndim != 1 or c.indices.shape != c.data.shape:
        yield (
            f"indptr {c.indptr.shape}, indices {c.indices.shape}, data {c.data.shape}; expected "
            f"({post + 1},) and two of the same length"
        )
        return
    in_row = np.diff(c.indptr)
    if c.indptr[0] != 0 or c.indptr[-1] != len(c.data) or np.any(in_row < 0):
        yield f"indptr does not rise from 0 to {len(c.data)}"
        return
    if c.indices.size and (c.indices.min() < 0 or c.indices.max() >= pre):
        yield f"indices in {c.indices.min()}..{c.indices.max()}, expected 0..{pre - 1}"
    row = np.repeat(np.arange(post), in_row)
    if np.any((np.diff(c.indices) <= 0) & (np.diff(row) == 0)):
        yield "columns of a row are not sorted or occur twice"


@faults.register
def _conv2d(c: Conv2d, pre: int, post: int) -> Iterator[str]:
    if c.weight.ndim != 4 or 0 in c.weight.shape:
        yield f"weight {c.weight.shape} is not [O, I/groups, kH, kW]"
        return
    if min(*c.stride, *c.dilation, c.groups, *c.in_shape, *c.out_shape) < 1 or min(c.padding) < 0:
        yield "stride, dilation, groups and shapes must be at least 1, padding at least 0"
        return
    out, per_group, *kernel = c.weight.shape
    if out % c.groups or per_group * c.groups != c.in_shape[0]:
        yield (
            f"weight {c.weight.shape} with {c.groups} group(s) takes {per_group * c.groups} "
            f"channels, in_shape is {c.in_shape}"
        )
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(
            c.in_shape[1:], c.padding, c.dilation, kernel, c.stride, strict=True
        )
    ]
    if c.out_shape != (out, *size):
        yield f"makes ({out}, {size[0]}, {size[1]}) of {c.in_shape}, but out_shape is {c.out_shape}"
    if prod(c.in_shape) != pre or prod(c.out_shape) != post:
        yield f"maps {c.in_shape} to {c.out_shape}, but has {pre} neurons before and {post} after"


@faults.register
def _structured(c: Structured, pre: int, post: int) -> Iterator[str]:
    before, after = dict(c.pre), dict(c.post)
    if len(before) != len(c.pre) or len(after) != len(c.post):
        yield f"a label occurs twice in {c.pre} or {c.post}"
    if min([*before.values(), *after.values()], default=1) < 1:
        yield f"an axis has no elements in {c.pre} or {c.post}"
    unlike = [label for label in before if after.get(label, before[label]) != before[label]]
    if unlike:
        yield f"label {unlike[0]!r} has two lengths in {c.pre} and {c.post}"
    if prod(before.values()) != pre or prod(after.values()) != post:
        yield f"maps {c.pre} to {c.post}, but has {pre} neurons before and {post} after"


def view_faults(view: View | None, size: int) -> Iterator[str]:
    """What keeps a view from being a permutation of `size` neurons."""
    if view is None:
        return
    if prod(view.split) != size or min(view.split, default=1) < 1:
        yield f"view splits into {view.split}, but there are {size} neurons"
    if sorted(view.order) != list(range(len(view.split))):
        yield f"view order {view.order} is not a permutation of {len(view.split)} axes"
