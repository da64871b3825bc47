"""Ops without arithmetic: views, reorderings, broadcasts, casts that keep the value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import fx

from ..neurons.refusal import Refusal
from .dims import BATCH, GROUPS, TIME, WITHIN, Axis, TimeProblem, in_step
from .emitter import CAUSAL, Emitter, Stream
from .rules import result_shape, rule


@rule(
    "aten::clone", "aten::contiguous", "aten::detach", "aten::detach_", "aten::alias",
    "aten::lift_fresh_copy", "aten::lift_fresh", "aten::positive",
    "aten::_assert_tensor_metadata",
)  # fmt: skip
def same(e: Emitter, node: fx.Node, x: Stream, *rest: Any, **options: Any) -> Stream:
    """The value itself."""
    return x


@rule(
    "aten::dropout", "aten::feature_dropout", "aten::alpha_dropout", "aten::native_dropout",
    "aten::dropout_", "aten::feature_dropout_",
)  # fmt: skip
def dropout(e: Emitter, node: fx.Node, x: Stream, p: float, train: bool, **options: Any) -> Stream:
    """Identity in eval mode."""
    if train and p:
        raise Refusal("SFX-E103", "dropout is active in eval mode", "use nn.Dropout, not F.dropout")
    return x


@rule("aten::_to_copy", "aten::to", "aten::type_as")
def cast_value(e: Emitter, node: fx.Node, x: Stream, *rest: Any, **options: Any) -> Stream:
    """A cast between float types keeps the value; to integers or bool it would not."""
    dtype = node.meta["val"].dtype
    if not dtype.is_floating_point:
        raise Refusal("SFX-E103", f"a cast to {dtype} changes values", "keep the stream in floats")
    return x


@rule(
    "aten::view", "aten::reshape", "aten::_unsafe_view", "aten::_reshape_alias", "aten::flatten",
    "aten::unflatten", "aten::view_as", "aten::reshape_as", "aten::ravel",
)  # fmt: skip
def reshape(e: Emitter, node: fx.Node, x: Stream, *rest: Any, **options: Any) -> Stream:
    """The same elements in C order; T and B must stay whole."""
    try:
        return e.view(x, x.dims.view(result_shape(node)))
    except TimeProblem as problem:
        raise Refusal("SFX-E104", str(problem), CAUSAL) from problem


@rule("aten::unsqueeze")
def unsqueeze(e: Emitter, node: fx.Node, x: Stream, dim: int) -> Stream:
    """A new axis of length 1."""
    axes = [*x.dims.axes]
    axes.insert(dim % (len(axes) + 1), ())
    return e.view(x, x.dims.with_axes(axes))


@rule("aten::squeeze")
def squeeze(e: Emitter, node: fx.Node, x: Stream, dim: Any = None) -> Stream:
    """Without the axes of length 1 among `dim`."""
    rank = len(x.dims.axes)
    listed = range(rank) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = {d % rank for d in listed if x.dims.shape[d] == 1}
    kept: list[Axis] = []
    for i, axis in enumerate(x.dims.axes):
        if i not in gone:
            kept.append(axis)
        elif BATCH in axis and kept:  # so that it is known where an axis of samples may come back
            kept[-1] = (*kept[-1], BATCH)
    return e.view(x, x.dims.with_axes(kept))


def reordered(e: Emitter, x: Stream, order: Sequence[int]) -> Stream:
    """`x` with tensor axis order[i] as its axis i."""
    dims = x.dims.with_axes(x.dims.axes[i] for i in order)
    kept = [i for i, axis in enumerate(x.dims.axes) if in_step(axis)]
    step_order = tuple(kept.index(i) for i in order if i in kept)
    return replace(x, name=e.permute(x.name, x.shape, step_order), dims=dims)


@rule("aten::permute", "aten::movedim", "aten::moveaxis", "aten::numpy_T", "aten::mT", "aten::t",
      "aten::transpose", "aten::swapaxes", "aten::swapdims")  # fmt: skip
def permute(e: Emitter, node: fx.Node, x: Stream, *rest: Any, **options: Any) -> Stream:
    """Axes in another order, found by running the op on a tensor with one axis length per axis."""
    rank = len(x.dims.axes)
    probe = torch.empty(tuple(range(2, 2 + rank)))
    args = [probe, *node.args[1:]]
    moved = node.target(*args, **node.kwargs)  # type: ignore[operator]  # an ATen overload
    return reordered(e, x, [n - 2 for n in moved.shape])


@rule("aten::expand", "aten::expand_as", "aten::broadcast_to")
def expand(e: Emitter, node: fx.Node, x: Stream, *rest: Any, **options: Any) -> Stream:
    """Axes of length 1 repeated; they become axes of space."""
    return widened(e, x, result_shape(node))


def widened(e: Emitter, x: Stream, shape: Sequence[int]) -> Stream:
    """`x` broadcast to the tensor shape `shape`.

    A stream whose steps were reduced gets them back where its first axis (the second, if the first
    is the samples') is repeated T times; one of groups, where the axis behind that of the groups is
    repeated as often as a group has steps.
    """
    axes = ((),) * (len(shape) - len(x.dims.axes)) + x.dims.axes
    first = 1 if axes[:1] == ((BATCH,),) else 0
    again = len(axes) > first and axes[first] == () and shape[first] == x.dims.steps > 1
    if x.reduce is not None and again:
        x = e.held(e.view(x, x.dims.with_axes(axes)))
        axes = (*axes[:first], (TIME,), *axes[first + 1 :])
        x = e.view(x, x.dims.with_axes(axes))
    if becomes_time(e, x, axes, shape[0]):
        axes = ((TIME, *axes[0]), *axes[1:])
    behind = axes.index((GROUPS,)) + 1 if (GROUPS,) in axes and not x.dims.holds(WITHIN) else 0
    if 0 < behind < len(axes) and axes[behind] == () and shape[behind] == x.dims.group:
        axes = (*axes[:behind], (WITHIN,), *axes[behind + 1 :])
    padded = e.view(x, x.dims.with_axes(axes))
    wide = x.dims.with_axes(
        (n,) if x.dims.size(axis) == 1 and n > 1 else axis
        for axis, n in zip(axes, shape, strict=True)
    )
    name = e.expand(padded.name, padded.shape, wide.step_shape)
    return replace(padded, name=name, dims=wide)


def becomes_time(e: Emitter, x: Stream, axes: Sequence[Axis], length: int) -> bool:
    """Whether a new first axis is that of time: the model repeats an image over its steps."""
    timeless = not x.dims.timed and x.reduce is None and x.step is None
    return e.repeats and timeless and x.dims.size(axes[0]) == 1 and length == x.dims.steps > 1


@rule("aten::repeat")
def repeat(e: Emitter, node: fx.Node, x: Stream, repeats: Sequence[int]) -> Stream:
    """Every axis repeated as a whole: a new axis before it, expanded and merged into it."""
    axes = ((),) * (len(repeats) - len(x.dims.axes)) + x.dims.axes
    if becomes_time(e, x, axes, repeats[0]):
        timed = e.view(x, x.dims.with_axes([(TIME, *axes[0]), *axes[1:]]))
        return cast(Stream, repeat(e, node, timed, (1, *repeats[1:])))
    split = [part for axis in axes for part in ((), axis)]
    wide = [n for axis, r in zip(axes, repeats, strict=True) for n in (r, _length(x, axis))]
    out = e.view(x, x.dims.with_axes(split))
    out = widened(e, out, wide)
    pairs = zip(out.dims.axes[::2], out.dims.axes[1::2], strict=True)
    return e.view(out, out.dims.with_axes((*again, *axis) for again, axis in pairs))


def _length(x: Stream, axis: Axis) -> int:
    return int(x.dims.with_axes([axis]).shape[0])
