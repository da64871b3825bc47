"""Ops that only choose elements: slices, splits, joins, padding, nearest upsampling, windows.

What each axis takes from where is found by running the op on the numbers of the elements, and
becomes one `ext.Gather` for each axis on which something changes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, fx

from ...toolchain.formats.nir import ext
from ..neurons.refusal import Refusal
from .dims import BATCH, TIME, in_step
from .emitter import Array, Emitter, Stream, no_time
from .ops_math import at_one_step, shifted, timed
from .ops_view import becomes_time, reordered, widened
from .rules import result_shape, rule

STEPS = (
    "every layer sees all steps of the sample in order: keep the time axis whole, take single "
    "steps, x[t], in a loop, or cut it into groups of g steps at once, x.unflatten(0, (-1, g))"
)


def taken(e: Emitter, x: Stream, dim: int, index: Sequence[int], what: str) -> Stream:
    """`x` with the elements `index` of tensor axis `dim`, 0 where the index is -1."""
    if list(index) == list(range(x.dims.shape[dim])):
        return x
    if becomes_time(e, x, x.dims.axes, len(index)) and dim == 0 and not any(index):
        return e.view(x, x.dims.with_axes([(TIME, *x.dims.axes[0]), *x.dims.axes[1:]]))
    if x.dims.times(dim):
        raise Refusal("SFX-E104", f"{what} a part of the time steps", STEPS)
    axis = x.dims.axes[dim]
    if axis and not in_step(axis):
        held = "samples" if BATCH in axis else "time steps"
        raise Refusal("SFX-E104", f"{what} along the axis that holds the {held}", STEPS)
    name = e.gather(x.name, x.shape, x.dims.step_axis(dim), index)
    axes = list(x.dims.axes)
    marks = [f for f in axis if isinstance(f, str)] if len(index) > 1 else []
    axes[dim] = (*marks, len(index))
    return replace(x, name=name, dims=x.dims.with_axes(axes))


# --- whatever chooses elements axis by axis -------------------------------------------------


@rule(
    "aten::slice", "aten::narrow", "aten::index_select", "aten::index", "aten::flip", "aten::roll",
    "aten::channel_shuffle", "aten::upsample_nearest1d", "aten::upsample_nearest2d",
    "aten::_upsample_nearest_exact1d", "aten::_upsample_nearest_exact2d",
    "aten::reflection_pad1d", "aten::reflection_pad2d", "aten::replication_pad1d",
    "aten::replication_pad2d", "aten::rot90",
)  # fmt: skip
def select_elements(e: Emitter, node: fx.Node, x: Stream, *rest: Any, **options: Any) -> Stream:
    """A part of the axes, repeated or in another order: a Gather for each axis that changes."""
    if not isinstance(x, Stream):
        raise TypeError("the indices are no constants")
    places = _positions(node, x, rest, options)
    index = _by_axis(places, x.dims.shape)
    if index is None:
        raise Refusal(
            "SFX-E107",
            "chooses elements whose place on one axis depends on that on another",
            "index one axis at a time",
        )
    for dim, chosen in enumerate(index):
        x = taken(e, x, dim, chosen, "takes")
    return x


@rule("aten::constant_pad_nd", "aten::pad")
def pad(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    widths: Sequence[int],
    value: Any = 0.0,
    fill: float | None = None,
) -> Stream:
    """Zeros around the value (negative: cut off), or its own elements; a constant is added."""
    mode, constant = (value, fill) if isinstance(value, str) else ("constant", value)
    if mode not in ("constant", "reflect", "replicate", "circular"):
        raise Refusal("SFX-E107", f"padding of the kind {mode!r}", "pad with zeros")
    before = x.dims.shape
    numbers = torch.arange(1.0, 1 + math.prod(before), dtype=torch.float64).reshape(before)
    made = torch.nn.functional.pad(numbers, list(widths), mode=mode).numpy()
    index = _by_axis(made, before)
    if index is None:
        raise ValueError("padding that is not one of each axis")
    for dim, chosen in enumerate(index):
        x = taken(e, x, dim, chosen, "pads")
    if constant:
        border = np.zeros(x.dims.shape) + (made == 0) * float(constant)
        x = shifted(e, e.as_mean(x), torch.from_numpy(border), x.dims.shape)
    return x


def _positions(node: fx.Node, x: Stream, rest: Any, options: Any) -> Array:
    """The numbers, from 1, of the elements that the op takes, at their places in its result."""
    shape = x.dims.shape
    numbers = torch.arange(1.0, 1 + math.prod(shape), dtype=torch.float64).reshape(shape)
    made = node.target(numbers, *rest, **options)  # type: ignore[operator]  # an ATen overload
    return cast(Array, made.numpy())


def _by_axis(places: Array, shape: Sequence[int]) -> list[list[int]] | None:
    """For each axis the elements of it that the result takes, -1 for none; None if they differ."""
    if places.ndim != len(shape):
        return None
    index: list[list[int]] = []
    for axis in range(len(shape)):
        found = np.moveaxis(places, axis, 0).reshape(places.shape[axis], -1).max(axis=1, initial=0)
        place = np.unravel_index(np.maximum(found - 1, 0).astype(np.int64), shape)[axis]
        index.append([int(p) if n > 0 else -1 for p, n in zip(place, found, strict=True)])
    again = np.arange(1.0, 1 + math.prod(shape)).reshape(shape)
    for axis, chosen in enumerate(index):
        again = np.take(again, chosen, axis=axis)
        again[(slice(None),) * axis + (np.flatnonzero(np.array(chosen) < 0),)] = 0
    return index if np.array_equal(again, places) else None


# --- several parts --------------------------------------------------------------------------


@rule(
    "aten::split", "aten::split_with_sizes", "aten::chunk", "aten::tensor_split",
    "aten::unsafe_split", "aten::unsafe_chunk", "aten::unsafe_split_with_sizes",
    "aten::split_copy", "aten::split_with_sizes_copy",
)  # fmt: skip
def split(e: Emitter, node: fx.Node, x: Stream, sizes: Any, dim: int = 0) -> list[Stream]:
    """The parts of one axis, a Gather each."""
    dim %= len(x.dims.axes)
    ends = np.cumsum([0, *(int(part.shape[dim]) for part in node.meta["val"])])
    return [taken(e, x, dim, range(a, b), "splits off") for a, b in itertools.pairwise(ends)]


def joined(e: Emitter, node: fx.Node, parts: Sequence[Any], dim: int) -> Stream:
    """Values side by side on one axis: each padded with zeros to the whole, and their sum."""
    shape = result_shape(node)
    dim %= len(shape)
    streams = [p for p in parts if isinstance(p, Stream)]
    if len({(s.reduce, s.weights) for s in streams}) > 1:
        streams = [e.held(s) for s in streams]
    like = next((s for s in streams if s.dims.spread), streams[0])
    placed: list[Stream] = []
    rest = torch.zeros(shape)
    waiting = iter(streams)
    start = 0
    for part in parts:
        length = int((part.dims.shape if isinstance(part, Stream) else part.shape)[dim])
        if isinstance(part, Stream):
            x = _beside(e, next(waiting), like, dim)
            index = [-1] * start + list(range(length)) + [-1] * (shape[dim] - start - length)
            placed.append(taken(e, x, dim, index, "joins"))
        elif length:
            rest.narrow(dim, start, length).copy_(part)
        start += length
    if len(placed) == 1:
        whole = placed[0]
    else:
        whole = replace(placed[0], name=_sum(e, placed))
    return shifted(e, e.as_mean(whole), rest, shape) if bool(rest.any()) else whole


def _beside(e: Emitter, x: Stream, like: Stream, dim: int) -> Stream:
    """`x` with the time axis where `like` has it, but for the axis that is joined."""
    no_time(like, dim, "a concatenation along the time axis")
    if not x.dims.spread and like.dims.spread:
        axes = [a if i != dim else x.dims.axes[dim] for i, a in enumerate(like.dims.axes)]
        x = timed(e, x, axes, like.dims.group)
    for i in range(len(like.dims.axes)):
        if i != dim and x.dims.solid(i) != like.dims.solid(i):
            raise Refusal("SFX-E104", f"joins values that hold time on different axes ({i})", STEPS)
    axes = [a if i != dim else x.dims.axes[dim] for i, a in enumerate(like.dims.axes)]
    return e.view(x, x.dims.with_axes(axes))


def _sum(e: Emitter, placed: Sequence[Stream]) -> str:
    """The junction of the parts; the same one for the copies of a step."""
    names = tuple(p.name for p in placed)
    if names not in e.joins:
        e.joins[names] = e.add(ext.junction(placed[0].shape), "cat", *names)
    return e.joins[names]


# --- values that are written over -----------------------------------------------------------


@rule("aten::slice_scatter", "aten::select_scatter")
def overwrite(e: Emitter, node: fx.Node, x: Any, part: Any, dim: int = 0, *rest: Any) -> Any:
    """The value with a part of one axis written over, by a constant or another value."""
    shape = result_shape(node)
    dim %= len(shape)
    numbers = torch.arange(1.0, 1 + shape[dim], dtype=torch.float64)
    single = node.target.__name__.startswith("select")  # type: ignore[union-attr]
    nothing = torch.tensor(0.0) if single else torch.zeros_like(_cut(numbers, rest))
    kept = node.target(numbers, nothing.double(), 0, *rest)  # type: ignore[operator]
    inside = [int(i) for i in np.flatnonzero(kept.numpy() == 0)]
    if isinstance(part, Stream) and single:
        axes = list(part.dims.axes)
        axes.insert(dim, ())
        part = e.view(part, part.dims.with_axes(axes))
    elif single:
        part = part.unsqueeze(dim)
    if len(inside) == shape[dim]:
        return part
    outside = [i if i not in set(inside) else -1 for i in range(shape[dim])]
    return _written(e, x, part, dim, (inside, outside), shape)


def _cut(numbers: Tensor, rest: Sequence[Any]) -> Tensor:
    start, end, step = (*rest, None, None, None)[:3]
    return numbers[slice(start, None if end is None else min(int(end), len(numbers)), step)]


def _written(
    e: Emitter,
    x: Any,
    part: Any,
    dim: int,
    places: tuple[list[int], list[int]],
    shape: tuple[int, ...],
) -> Stream:
    """x outside of `part` and part inside: whichever is a stream is padded with zeros there."""
    inside, outside = places
    at = {place: i for i, place in enumerate(inside)}
    spread = [at.get(i, -1) for i in range(shape[dim])]
    fixed = torch.zeros(shape, dtype=torch.float64)
    values: list[tuple[Any, list[int]]] = [(x, outside), (part, spread)]
    if isinstance(x, Stream) and x.name in e.written:  # the constants in it are written over, too
        base, constant = e.written[x.name]
        values[:1] = [(replace(x, name=base), outside), (constant, outside)]
    streams: list[Stream] = []
    for value, index in values:
        if isinstance(value, Stream):
            streams.append(taken(e, value, dim, index, "writes over"))
            continue
        given = torch.as_tensor(value).double().expand([*shape[:dim], -1, *shape[dim + 1 :]])
        chosen = torch.tensor([i for i in index if i >= 0], dtype=torch.long)
        holes = torch.tensor([i for i, n in enumerate(index) if n >= 0], dtype=torch.long)
        fixed.index_add_(dim, holes, given.index_select(dim, chosen))
    whole = streams[0]
    if len(streams) == 2:
        first, second = streams[0], _beside(e, streams[1], streams[0], dim)
        whole = replace(first, name=_sum(e, [first, second]))
    if not bool(fixed.any()):
        return whole
    before = padded_before_norm(e, whole, at_one_step(whole, fixed))
    if before is not None:
        return replace(whole, name=before)
    made = shifted(e, e.as_mean(whole), fixed, shape)
    if whole.reduce is None:
        e.written[made.name] = whole.name, fixed
    return made


def padded_before_norm(e: Emitter, x: Stream, border: Array) -> str | None:
    """Padding behind a batch norm with what that makes of 0, as padding with zeros before it.

    Up to the rounding in which the model computes the border; None where it is anything else.
    """
    name, gathers = x.name, list[ext.Gather]()
    while isinstance(made := e.nodes[name], ext.Gather):
        gathers.insert(0, made)
        (name,) = e.sources[name]
    if not isinstance(made, ext.BatchNorm) or made.axis != 0 or not gathers:
        return None
    inside = np.ones(made.input_shape)
    for gather in gathers:
        empty = (slice(None),) * gather.axis + (np.flatnonzero(np.array(gather.index) < 0),)
        inside = np.take(inside, gather.index, axis=gather.axis)
        inside[empty] = 0
    column = (-1, *[1] * (inside.ndim - 1))
    share = made.mean / np.sqrt(made.var + made.eps) * made.weight
    unit = 8 * float(np.finfo(made.weight.dtype).eps) * (np.abs(made.bias) + np.abs(share))
    expected = (1 - inside) * (made.bias - share).reshape(column)
    if np.any(np.abs(border - expected) > (1 - inside) * unit.reshape(column)):
        return None
    (name,) = e.sources[name]
    for gather in gathers:
        shape = tuple(int(n) for n in e.nodes[name].output_type["output"])
        name = e.gather(name, shape, gather.axis, gather.index)
    fields = (made.weight, made.bias, made.mean, made.var, made.eps, made.axis)
    return e.add(ext.BatchNorm(x.shape, *fields), "batch_norm", name)


@rule("aten::copy", "aten::fill")
def copied(e: Emitter, node: fx.Node, x: Any, value: Any, *rest: Any) -> Any:
    """What is written over the whole of a value."""
    if isinstance(value, Stream):
        return widened(e, value, result_shape(node))
    return torch.as_tensor(value).float().expand(result_shape(node))


# --- pixels to channels, windows ------------------------------------------------------------


@rule("aten::pixel_shuffle")
def pixel_shuffle(e: Emitter, node: fx.Node, x: Stream, factor: int) -> Stream:
    """Channels become pixels: a view, a permutation and a view."""
    lead, (c, h, w) = x.dims.axes[:-3], x.dims.shape[-3:]
    no_time(x, -3, "a pixel shuffle over the time axis")
    r, n = factor, len(lead)
    split_up = e.view(x, x.dims.with_axes([*lead, *((k,) for k in (c // r**2, r, r, h, w))]))
    moved = reordered(e, split_up, [*range(n), n, n + 3, n + 1, n + 4, n + 2])
    return e.view(moved, x.dims.with_axes([*lead, (c // r**2,), (h * r,), (w * r,)]))


@rule("aten::pixel_unshuffle")
def pixel_unshuffle(e: Emitter, node: fx.Node, x: Stream, factor: int) -> Stream:
    """Pixels become channels: a view, a permutation and a view."""
    lead, (c, h, w) = x.dims.axes[:-3], x.dims.shape[-3:]
    for axis in (-3, -2, -1):
        no_time(x, axis, "a pixel shuffle over the time axis")
    r, n = factor, len(lead)
    parts = [c, h // r, r, w // r, r]
    split_up = e.view(x, x.dims.with_axes([*lead, *((k,) for k in parts)]))
    moved = reordered(e, split_up, [*range(n), n, n + 2, n + 4, n + 1, n + 3])
    return e.view(moved, x.dims.with_axes([*lead, (c * r * r,), (h // r,), (w // r,)]))


@rule("aten::unfold")
def unfold(e: Emitter, node: fx.Node, x: Stream, dim: int, size: int, step: int) -> Stream:
    """Windows of one axis, as a new last axis."""
    dim %= len(x.dims.axes)
    starts = range(0, x.dims.shape[dim] - size + 1, step)
    x = taken(e, x, dim, [s + i for s in starts for i in range(size)], "takes windows of")
    axes = list(x.dims.axes)
    axes[dim : dim + 1] = [(len(starts),), (size,)]
    x = e.view(x, x.dims.with_axes(axes))
    last = len(axes) - 1
    return reordered(e, x, [*(i for i in range(last + 1) if i != dim + 1), dim + 1])


@rule("aten::im2col")
def im2col(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    kernel: Sequence[int],
    dilation: Sequence[int],
    padding: Sequence[int],
    stride: Sequence[int],
) -> Stream:
    """All windows of [B, C, H, W] as columns [B, C kH kW, L]."""
    lead, (c, *plane) = x.dims.axes[:-3], x.dims.shape[-3:]
    counts: list[int] = []
    for dim, n, k, d, p, s in zip((-2, -1), plane, kernel, dilation, padding, stride, strict=True):
        count = (n + 2 * p - d * (k - 1) - 1) // s + 1
        at = [a * d + i * s - p for a in range(k) for i in range(count)]
        index = [i if 0 <= i < n else -1 for i in at]
        x = taken(e, x, len(x.dims.axes) + dim, index, "takes windows of")
        counts.append(count)
    n = len(lead)
    parts = [c, kernel[0], counts[0], kernel[1], counts[1]]
    x = e.view(x, x.dims.with_axes([*x.dims.axes[:n], *((k,) for k in parts)]))
    x = reordered(e, x, [*range(n), n, n + 1, n + 3, n + 2, n + 4])
    columns, rows = c * kernel[0] * kernel[1], counts[0] * counts[1]
    return e.view(x, x.dims.with_axes([*x.dims.axes[:n], (columns,), (rows,)]))
