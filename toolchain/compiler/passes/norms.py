"""Batch norms and added constants, followed through views to the layer that takes them in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ...ir.float_ops import apply
from ...ir.graph import (
    BatchNorm,
    Conv2d,
    Expand,
    FloatArray,
    Gather,
    Linear,
    Node,
    Permute,
    ReduceSum,
    Reshape,
    Scale,
    Shape,
    SumPool2d,
)


@dataclass(frozen=True, eq=False)
class Norm:
    """y = (x - mean) * scale + bias, all three in the shape of x."""

    scale: FloatArray
    mean: FloatArray
    bias: FloatArray

    @classmethod
    def of(cls, node: Node) -> Norm:
        """What a batch norm computes."""
        op = node.op
        assert isinstance(op, BatchNorm)
        column = [1] * len(node.shape)
        column[op.axis] = -1
        scale = op.weight / np.sqrt(op.var + op.eps)
        parts = (scale, op.mean, op.bias)
        return cls(*(np.broadcast_to(a.reshape(column), node.shape) for a in parts))

    @property
    def shift(self) -> FloatArray:
        """What 0 becomes."""
        shift: FloatArray = self.bias - self.mean * self.scale
        return shift

    @property
    def only_shifts(self) -> bool:
        """Whether it only adds a constant."""
        return bool(np.all(self.scale == 1.0))

    def each(self, move: Callable[[FloatArray], FloatArray]) -> Norm:
        """The same with its arrays moved."""
        return Norm(move(self.scale), move(self.mean), move(self.bias))


def before(norm: Norm, node: Node, shape: Shape) -> Norm | None:
    """The norm of a view's or scale's operand (of `shape`) that does what `norm` does behind it.

    A Scale is part of what is returned. None where values that a broadcast makes of one differ.
    """
    op = node.op
    if isinstance(op, Scale):
        return Norm(norm.scale * op.factor, norm.mean / op.factor, norm.bias)
    if isinstance(op, Reshape):
        return norm.each(lambda a: a.reshape(shape))
    if isinstance(op, Permute):
        back = np.argsort(op.order)
        return norm.each(lambda a: a.transpose(back))
    if isinstance(op, Gather):
        return _before_choice(norm, op, shape)
    assert isinstance(op, Expand)
    one = norm.each(lambda a: a[tuple(slice(0, n) for n in shape)])
    parts = zip((one.scale, one.mean, one.bias), (norm.scale, norm.mean, norm.bias), strict=True)
    return one if all(np.array_equal(np.broadcast_to(a, b.shape), b) for a, b in parts) else None


def _before_choice(norm: Norm, op: Gather, shape: Shape) -> Norm | None:
    """Constants of the elements that are chosen; None where padding or copies need their own."""
    if op.pads or len(set(op.index)) < len(op.index):
        return None
    at = (slice(None),) * op.axis + (list(op.index),)
    whole = Norm(np.ones(shape), np.zeros(shape), np.zeros(shape))
    for into, values in (
        (whole.scale, norm.scale),
        (whole.mean, norm.mean),
        (whole.bias, norm.bias),
    ):
        into[at] = values
    return whole


def behind(
    scale: FloatArray, shift: FloatArray, node: Node
) -> tuple[FloatArray, FloatArray] | None:
    """scale, shift behind a linear `node`, so that node(scale x + shift) = scale' node(x) + shift'.

    None where it mixes values of different scales.
    """
    op = node.op
    if isinstance(op, Scale):
        return scale, shift * op.factor
    if isinstance(op, Expand):
        return np.broadcast_to(scale, node.shape), np.broadcast_to(shift, node.shape)
    moved = apply(op, shift[None])[0].reshape(node.shape)
    if isinstance(op, Gather):  # what is padded may have any scale: that of its neighbours
        return np.take(scale, [max(i, 0) for i in op.index], axis=op.axis), moved
    if isinstance(op, Reshape | Permute):
        return apply(op, scale[None])[0].reshape(node.shape), moved
    assert isinstance(op, ReduceSum | SumPool2d)
    axes = op.axes if isinstance(op, ReduceSum) else (1, 2)
    first = scale[tuple(slice(0, 1) if i in axes else slice(None) for i in range(scale.ndim))]
    if not np.array_equal(np.broadcast_to(first, scale.shape), scale):
        return None
    kept = first if isinstance(op, SumPool2d) else first.reshape(node.shape)
    return np.broadcast_to(kept, node.shape), moved


def after_layer(op: Conv2d | Linear, norm: Norm) -> Conv2d | Linear | None:
    """The layer and the norm of its output as one layer; None where positions scale differently."""
    if isinstance(op, Linear):
        weight = op.weight * norm.scale[:, None]
        return replace(op, weight=weight, bias=(op.bias - norm.mean) * norm.scale + norm.bias)
    channel = norm.each(lambda a: a[:, :1, :1])
    if not np.array_equal(np.broadcast_to(channel.scale, norm.scale.shape), norm.scale):
        return None
    offset = _as_bias((op.offset - norm.mean) * norm.scale + norm.bias)
    return replace(op, weight=op.weight * channel.scale[..., None], bias=offset)


def before_layer(
    op: Conv2d | Linear, scale: FloatArray, shift: FloatArray
) -> Conv2d | Linear | None:
    """The layer of scale x + shift as one of x; None where positions of one channel differ.

    A zero padded convolution of a constant is smaller at a border: its bias has a value for each
    position then.
    """
    if isinstance(op, Linear):
        return replace(op, weight=op.weight * scale, bias=op.weight @ shift + op.bias)
    first = scale[:, :1, :1]
    if not np.array_equal(np.broadcast_to(first, scale.shape), scale):
        return None
    per_group = op.weight.shape[1]
    out_group = len(op.weight) // op.groups
    taken = first.reshape(op.groups, 1, per_group).repeat(out_group, axis=1)
    weight = op.weight * taken.reshape(len(op.weight), per_group, 1, 1)
    return replace(op, weight=weight, bias=_as_bias(op.offset + _of_constant(op, shift)))


def _of_constant(op: Conv2d, shift: FloatArray) -> FloatArray:
    """What the weights make of `shift` [C, H, W]; of one window alone where all see the same."""
    bare = replace(op, bias=np.zeros(len(op.weight)))
    if op.padding == (0, 0) and np.array_equal(
        np.broadcast_to(shift[:, :1, :1], shift.shape), shift
    ):
        high, wide = (
            d * (k - 1) + 1 for k, d in zip(op.weight.shape[2:], op.dilation, strict=True)
        )
        shift = shift[:, :high, :wide]
    share: FloatArray = apply(bare, shift[None])[0]
    return share


def as_layer(norm: Norm) -> tuple[Conv2d, Shape]:
    """The norm as a convolution with one weight for each channel or value, and the shape it takes.

    [C, n, 1] where all values of a channel have the same weight, else [n, 1, 1].
    """
    shape = norm.scale.shape
    rows = norm.each(lambda a: a.reshape(shape[0], -1, 1))
    if not np.array_equal(np.broadcast_to(rows.scale[:, :1], rows.scale.shape), rows.scale):
        rows = norm.each(lambda a: a.reshape(-1, 1, 1))
    weight = np.ascontiguousarray(rows.scale[:, :1, :, None])
    return Conv2d(weight, _as_bias(rows.shift), groups=len(weight)), rows.scale.shape


def _as_bias(offset: FloatArray) -> FloatArray:
    """[O] of an offset [O, H, W] that is the same at every position, else itself."""
    first = offset[:, :1, :1]
    alike = np.array_equal(np.broadcast_to(first, offset.shape), offset)
    return np.ascontiguousarray(first.ravel() if alike else offset)
