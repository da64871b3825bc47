"""How a Gather moves through views, and what the layers around it become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from ...ir.graph import (
    IF,
    LI,
    LIF,
    BatchNorm,
    Conv2d,
    Gather,
    Graph,
    Linear,
    Op,
    Output,
    Scale,
    Shape,
    Threshold,
)

Index = tuple[int, ...]
POINTWISE = (BatchNorm, Scale, LI, LIF, IF, Threshold)
"""Ops that compute each element from the one at its place, with constants for an axis at most."""


def chosen(op: Op, axis: int, index: Sequence[int]) -> Op:
    """A pointwise op for the elements `index` of one axis alone."""
    if not isinstance(op, BatchNorm) or op.axis != axis:
        return op
    at = list(index)
    fields = {k: getattr(op, k)[at] for k in ("weight", "bias", "mean", "var")}
    return replace(op, **fields)


def outputs(op: Conv2d | Linear, index: Sequence[int]) -> Conv2d | Linear:
    """The layer that computes the outputs `index` alone (of a convolution without groups)."""
    at = list(index)
    return replace(op, weight=op.weight[at], bias=op.bias[at])


def inputs(op: Conv2d | Linear, index: Sequence[int], *, biased: bool) -> Conv2d | Linear:
    """The layer that reads the inputs `index` alone, with the bias or none."""
    bias = op.bias if biased else np.zeros_like(op.bias)
    return replace(op, weight=op.weight[:, list(index)], bias=bias)


def groups_of(op: Conv2d, index: Sequence[int], size: int) -> list[int] | None:
    """The groups whose `size` channels are `index`, in order; None if it cuts through one."""
    found = [i // size for i in index[::size]]
    whole = [g * size + k for g in found for k in range(size)]
    return found if whole == list(index) else None


def of_groups(op: Conv2d, groups: Sequence[int]) -> Conv2d:
    """The convolution of some of its groups."""
    size = len(op.weight) // op.groups
    at = [g * size + k for g in groups for k in range(size)]
    return replace(op, weight=op.weight[at], bias=op.bias[at], groups=len(groups))


def with_pads(op: Conv2d, axis: int, left: int, right: int) -> Conv2d | None:
    """The convolution with `left` and `right` zeros around an axis of (C, H, W), 1 or 2.

    Where they differ, or are negative (so much is cut off), weights of 0 make them equal. None
    where a dilated kernel cannot hold those.
    """
    step = op.dilation[axis - 1]
    if (right - left) % step:
        return None
    more = (right - left) // step
    front = max(0, more, -(left // step))
    behind = front - more
    widths = [(0, 0)] * 4
    widths[1 + axis] = (front, behind)
    padding = list(op.padding)
    padding[axis - 1] = left + step * front
    return replace(op, weight=np.pad(op.weight, widths), padding=(padding[0], padding[1]))


def zeros_around(gather: Gather, length: int) -> tuple[int, int] | None:
    """Zeros before and behind an axis of `length` that is kept whole; None for another choice."""
    inside = [i for i, n in enumerate(gather.index) if n >= 0]
    if [gather.index[i] for i in inside] != list(range(length)) or not gather.pads:
        return None
    if inside != list(range(inside[0], inside[0] + length)):
        return None
    return inside[0], len(gather.index) - inside[0] - length


def across(gather: Gather, shape: Shape, other: Shape, *, after: bool) -> Gather | None:
    """The Gather that does on a value of shape `other` what `gather` does on one of `shape`.

    The two hold the same elements in C order, before the Gather or (`after`) behind it. None where
    what it chooses is no choice on one axis of the other.
    """
    length = shape[gather.axis]
    before = length if not after else 1 + max(gather.index)
    index = np.array(gather.index)
    outer, inner = prod(shape[: gather.axis]), prod(shape[gather.axis + 1 :])
    for axis, n in enumerate(other):
        left, right = prod(other[:axis]), prod(other[axis + 1 :])
        if outer % left == 0 and inner % right == 0:
            a, b = outer // left, inner // right
            if n == a * length * b:
                at = (np.arange(a)[:, None] * before + index).ravel()
                at[np.tile(index < 0, a)] = -1
                wide = np.where(at[:, None] < 0, -1, at[:, None] * b + np.arange(b))
                return Gather(axis, tuple(int(i) for i in wide.ravel()))
        elif left % outer == 0 and right % inner == 0:
            found = _within(index, before, left // outer, n, right // inner, after=after)
            if found is not None:
                return Gather(axis, found)
    return None


def _within(
    index: NDArray[np.int64], before: int, a: int, n: int, b: int, *, after: bool
) -> Index | None:
    """The choice among the middle of three axes (a, n, b) that were one; None if it is none."""
    if (
        len(index) % (a * b)
        or before % (a * b)
        or (n != (len(index) if after else before) // (a * b))
    ):
        return None
    parts = index.reshape(a, -1, b)
    own = before // (a * b)
    middle = parts[0, :, 0] // b
    middle[parts[0, :, 0] < 0] = -1
    wide = (np.arange(a)[:, None, None] * own + middle[:, None]) * b + np.arange(b)
    wide[:, middle < 0] = -1
    return tuple(int(i) for i in middle) if np.array_equal(wide, parts) else None


def needed(graph: Graph) -> Graph:
    """`graph` without what its output does not depend on."""
    found: set[str] = set()
    todo = [n.name for n in graph.of_type(Output)]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += graph[name].producers
    return graph.with_nodes(n for n in graph if n.name in found)
