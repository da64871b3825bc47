"""Elementwise ops, reductions, and the ops over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from ...toolchain.formats.nir import ext
from ..neurons.refusal import Refusal
from .dims import BATCH, GROUPS, TIME, TIMES, WITHIN, Axis, Factor, in_step
from .emitter import (
    CAUSAL,
    Array,
    Emitter,
    Stream,
    array,
    needs_steps,
    no_time,
)
from .ops_view import widened
from .rules import LARGEST, result_shape, rule

ALONE = "axis B holds the samples, each of which is computed alone: reduce other axes"
Constant = Tensor | float | int | bool
Operand = Stream | Constant


# --- time -----------------------------------------------------------------------------------


@rule("aten::cumsum", "aten::cumsum_")
def cumsum(e: Emitter, node: fx.Node, x: Stream, dim: int, **options: Any) -> Stream:
    """Sum over this and all earlier steps: an integrator, y[t] = y[t-1] + x[t]."""
    needs_steps(x, "a sum over earlier steps")
    axis = x.dims.solid(dim)
    if axis == ():
        return x
    if axis != (TIME,):
        times = x.dims.times(dim)
        what = "time together with space or batch" if TIME in times else "an axis of space"
        what = "groups of steps or within them" if times - {TIME} else what
        raise Refusal("SFX-E104", f"cumsum over {what}", "cumsum is mapped over the time axis only")
    made = ext.integrator_node(x.shape, gain=1.0, dt=e.dt)
    return replace(x, name=e.add(made, "cumsum", x.name))


@rule("aten::mean", "aten::sum")
def reduce(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    dim: list[int] | int | None = None,
    keepdim: bool = False,
    **options: Any,
) -> Stream:
    """Mean or sum over axes of space (ReduceSum, Scale) and over time (the read-out)."""
    rank = len(x.dims.axes)
    listed = [dim] if isinstance(dim, int) else list(dim or range(rank))
    over = {i % rank for i in listed}
    x = _samples_kept(e, x, over)
    gone = [x.dims.axes[i] for i in over]
    if (BATCH,) in gone:
        raise Refusal("SFX-E104", f"a reduction over axes {sorted(over)} mixes samples", ALONE)
    kind = _op(node)
    axes = [x.dims.step_axis(i) for i in over if in_step(x.dims.axes[i])]
    name = e.reduce_sum(x.name, x.shape, axes) if axes else x.name
    kept: list[Axis] = [a for i, a in enumerate(x.dims.axes) if i not in over]
    dims = x.dims.with_axes(kept)
    reduced = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    name = e.reshape(name, reduced, dims.step_shape)
    count = int(np.prod([x.shape[i] for i in axes], dtype=np.int64))
    if kind == "mean":
        name = e.scale(name, dims.step_shape, 1.0 / count)
    times: set[Factor] = {f for axis in gone for f in axis if f in TIMES}
    out = over_time(e, Stream(name, dims, x.reduce, weights=x.weights), kind, times)
    if keepdim:
        full = x.dims.with_axes(() if i in over else a for i, a in enumerate(x.dims.axes))
        out = e.view(out, full)
    return out


def _read_out(x: Stream, kind: str) -> Stream:
    """The read-out of a stream whose steps may have been multiplied by weights."""
    if not x.weights:
        return replace(x, reduce=kind)
    count = x.dims.steps if kind == "mean" else 1
    return replace(x, reduce="weighted", weights=tuple(w / count for w in x.weights))


@rule("aten::max", "aten::amax")
def largest(
    e: Emitter, node: fx.Node, x: Stream, dim: list[int] | int | None = None, keepdim: bool = False
) -> Any:
    """The largest value over the steps, as a read-out: of all that comes after the last neuron."""
    needs_steps(x, "a maximum")
    over = [dim] if isinstance(dim, int) else list(dim or ())
    if len(over) != 1 or x.dims.solid(over[0]) != (TIME,):
        raise Refusal("SFX-E103", "a maximum over other axes than that of time alone", LARGEST)
    axes = [() if i == over[0] % len(x.dims.axes) else a for i, a in enumerate(x.dims.axes)]
    if not keepdim:
        del axes[over[0] % len(axes)]
    out = replace(x, dims=x.dims.with_axes(axes), reduce="max")
    return out if _op(node) == "amax" else [out, None]


def _samples_kept(e: Emitter, x: Stream, over: set[int]) -> Stream:
    """`x` with the samples' mark on an axis that stays, where two axes of length 1 are in doubt.

    Steps that were reduced with keepdim leave such an axis: x.mean(0, keepdim=True) [1, B, ...].
    """
    axes = list(x.dims.axes)
    spare = [i for i, a in enumerate(axes) if a == () and i not in over]
    marked = [i for i in over if axes[i] == (BATCH,)]
    beside = [(i, j) for i in marked for j in spare if abs(i - j) == 1]
    if x.reduce is None or not beside:
        return x
    i, j = beside[0]
    axes[i], axes[j] = axes[j], axes[i]
    return e.view(x, x.dims.with_axes(axes))


def _op(node: fx.Node) -> str:
    return str(node.target._schema.name).partition("::")[2]  # type: ignore[union-attr]


# --- elementwise ----------------------------------------------------------------------------


@rule("aten::add", "aten::add_", "aten::sub", "aten::sub_", "aten::rsub")
def add(e: Emitter, node: fx.Node, a: Operand, b: Operand, alpha: float = 1.0) -> Stream:
    """The ops a + alpha b, a - alpha b, and for rsub b - alpha a."""
    kind = _op(node).rstrip("_")
    if kind == "rsub":
        a, b = b, a
    shape = result_shape(node)
    left = _scaled(e, a, 1.0)
    right = _scaled(e, b, float(alpha) if kind == "add" else -float(alpha))
    if isinstance(left, Stream) and isinstance(right, Stream):
        left, right = aligned(e, left, right, shape)
        return replace(left, name=e.add(ext.junction(left.shape), "sum", left.name, right.name))
    stream, constant = (left, right) if isinstance(left, Stream) else (right, left)
    if not isinstance(stream, Stream) or isinstance(constant, Stream):
        raise TypeError("one operand is a stream and one is not")
    return shifted(e, e.as_mean(stream), constant, shape)


def _scaled(e: Emitter, x: Operand, factor: float) -> Operand:
    if isinstance(x, Stream):
        return replace(x, name=e.scale(x.name, x.shape, factor))
    return x * factor


def shifted(e: Emitter, x: Stream, constant: Constant, shape: tuple[int, ...]) -> Stream:
    """`x + constant`, as a batch norm that only shifts (NIR has no node that adds a constant)."""
    x = widened(e, x, shape)
    values = at_one_step(x, constant)
    if not values.any():
        return x
    for axis in range(values.ndim):
        along = np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)
        if np.all(along == along[:, :1]):
            return replace(x, name=_offset(e, x.name, x.shape, along[:, 0].copy(), axis))
    flat = (values.size,)
    name = e.reshape(x.name, x.shape, flat)
    name = _offset(e, name, flat, values.ravel().copy(), 0)
    return replace(x, name=e.reshape(name, flat, x.shape))


def _offset(e: Emitter, name: str, shape: tuple[int, ...], bias: Array, axis: int) -> str:
    one, zero = np.ones_like(bias), np.zeros_like(bias)
    return e.add(ext.BatchNorm(shape, one, bias, zero, one.copy(), 0.0, axis), "offset", name)


def at_one_step(x: Stream, constant: Constant) -> Array:
    """A constant that broadcasts to the tensor `x`, as an array of x's step shape.

    Refused where it differs between steps or samples.
    """
    full = np.broadcast_to(array(torch.as_tensor(constant)), x.dims.shape)
    factors = [f for axis in x.dims.axes for f in axis]
    split = full.reshape([x.dims.length(f) for f in factors])
    for i, factor in enumerate(factors):
        if isinstance(factor, str):
            first = np.take(split, [0], axis=i)
            if not np.array_equal(np.broadcast_to(first, split.shape), split):
                kind = "sample" if factor == BATCH else "time step"
                raise Refusal(
                    "SFX-E104",
                    f"a constant that differs from {kind} to {kind}",
                    "constants must be the same at every step (no time embedding)",
                )
            split = first
    return np.array(split.reshape(x.shape))


def aligned(e: Emitter, a: Stream, b: Stream, shape: tuple[int, ...]) -> tuple[Stream, Stream]:
    """Two streams broadcast to one tensor shape, with T and B at the same places."""
    if a.reduce is None or b.reduce is None:
        a, b = e.held(a), e.held(b)
    elif a.reduce != b.reduce:
        a, b = e.as_mean(a), e.as_mean(b)
    if (a.reduce, a.weights) != (b.reduce, b.weights):
        raise Refusal(
            "SFX-E104",
            "two values whose steps were reduced in different ways",
            "add them before the steps are reduced",
        )
    rank = len(shape)
    sides = []
    for x, other in ((a, b), (b, a)):
        axes = ((),) * (rank - len(other.dims.axes)) + other.dims.axes
        wide = other.dims.with_axes(axes)
        target = [1 if wide.times(i) else n for i, n in enumerate(shape)]
        own = ((),) * (rank - len(x.dims.axes)) + x.dims.axes
        if (
            not x.dims.spread or x.dims.moments < other.dims.moments
        ):  # the same at every step, or in every group
            x = timed(e, e.view(x, x.dims.with_axes(own)), axes, other.dims.group)
            own = x.dims.axes
        full = [
            n if x.dims.size(axis) > 1 else t for axis, n, t in zip(own, shape, target, strict=True)
        ]
        sides.append(widened(e, x, full))
    a, b = sides
    for i in range(rank):
        if a.dims.solid(i) != b.dims.solid(i):
            raise Refusal(
                "SFX-E104", f"axis {i} holds time in one operand and not in the other", CAUSAL
            )
    pairs = zip(a.dims.axes, b.dims.axes, strict=True)  # these differ in marks alone
    both = a.dims.with_axes(max(pair, key=len) for pair in pairs)
    return e.view(a, both), e.view(b, both)


def timed(e: Emitter, x: Stream, axes: Sequence[Axis], group: int = 0) -> Stream:
    """`x`, the same at every step (of a group), with the time axis where `axes` have it.

    An axis of length 1 of `x` that meets time together with space is widened by the space.
    group  steps of a group, where `axes` have groups
    """
    for i, axis in enumerate(axes):
        missing = [f for f in axis if f in (GROUPS, WITHIN) and not x.dims.holds(f)]
        if not (TIME in axis or missing) or x.dims.size(x.dims.axes[i]) > 1:
            continue
        wide = [*x.dims.axes]
        wide[i] = tuple(f for f in axis if isinstance(f, int))
        x = widened(e, x, [x.dims.size(a) for a in wide])
        wide[i] = axis
        x = e.view(x, x.dims.with_axes(wide, group))
    return x


@rule("aten::mul", "aten::mul_", "aten::div", "aten::div_")
def mul(e: Emitter, node: fx.Node, a: Operand, b: Operand, **options: Any) -> Stream:
    """A product with a constant (Scale) or of two streams (Product); division by a constant."""
    shape = result_shape(node)
    divides = _op(node).startswith("div")
    if options.get("rounding_mode") is not None:
        raise Refusal("SFX-E103", "a division that rounds", "keep the quotient real")
    if isinstance(a, Stream) and isinstance(b, Stream):
        if divides:
            raise Refusal(
                "SFX-E103", "divides one stream by another", "no hardware op divides: use constants"
            )
        needs_steps(a, "a product of streams")
        needs_steps(b, "a product of streams")
        a, b = aligned(e, a, b, shape)
        return replace(a, name=e.add(ext.Product(a.shape), "product", a.name, b.name))
    if divides and not isinstance(a, Stream):
        raise Refusal("SFX-E103", "divides by a stream", "no hardware op divides: use constants")
    x, constant = (a, b) if isinstance(a, Stream) else (b, a)
    if not isinstance(x, Stream) or isinstance(constant, Stream):
        raise TypeError("one operand is a stream and one is not")
    x = widened(e, x, shape)
    by_step = None if x.reduce else weights_of_steps(x, constant)
    if by_step is not None:
        weights, constant = by_step
        weights = tuple(1.0 / w for w in weights) if divides else weights
        x = replace(x, weights=weights)
    values = at_one_step(x, constant).astype(np.float64)
    factor = 1.0 / values if divides else values
    return replace(x, name=e.scale(x.name, x.shape, factor))


def weights_of_steps(x: Stream, constant: Constant) -> tuple[tuple[float, ...], Tensor] | None:
    """A constant that broadcasts to `x`, as one number for each step and what all steps have.

    None where it is the same at every step, or not of this form.
    """
    given = torch.as_tensor(constant)
    where = [i for i in range(len(x.dims.axes)) if x.dims.solid(i) == (TIME,)]
    if len(where) != 1 or given.dim() < len(x.dims.axes) - where[0]:
        return None
    full = given.expand(x.dims.shape).movedim(where[0], 0).double()
    rows = full.reshape(len(full), -1)
    if torch.equal(rows, rows[:1].expand_as(rows)):
        return None
    if not torch.equal(rows, rows[:, :1].expand_as(rows)):
        return None
    return tuple(rows[:, 0].tolist()), torch.ones(())


@rule("aten::neg", "aten::neg_")
def neg(e: Emitter, node: fx.Node, x: Stream) -> Stream:
    """The op -x."""
    return replace(x, name=e.scale(x.name, x.shape, -1.0))


# --- matmul of two streams ------------------------------------------------------------------


def stream_matmul(e: Emitter, a: Stream, b: Stream) -> Stream:
    """a [..., M, K] @ b [..., K, N] per step: Expand both to (..., M, K, N), Product, ReduceSum.

    Where K holds the time axis (k^T v over T*N tokens), it pairs values of the same step: the sum
    over the tokens of each step, then over the steps, all of them or those of a group. Where M
    does, b must be the same at every step (of a group).
    """
    if a.reduce is None or b.reduce is None:
        a, b = e.held(a), e.held(b)
    needs_steps(a, "a product of streams")
    needs_steps(b, "a product of streams")
    over = a.dims.times(-1) if a.dims.solid(-1) == b.dims.solid(-2) else set()
    if not over:
        no_time(a, -1, "a matrix product that sums over time")
        no_time(b, -2, "a matrix product that sums over time")
    if b.dims.moments & a.dims.times(-2):
        no_time(a, -2, "a matrix product between different time steps")
    if a.dims.moments & b.dims.times(-1):
        no_time(b, -1, "a matrix product between different time steps")
    lead = np.broadcast_shapes(a.dims.shape[:-2], b.dims.shape[:-2])
    (m, k), n = a.dims.shape[-2:], b.dims.shape[-1]
    left = e.view(a, a.dims.with_axes([*a.dims.axes, ()]))
    right = e.view(b, b.dims.with_axes([*b.dims.axes[:-2], (), *b.dims.axes[-2:]]))
    left, right = aligned(e, left, right, (*lead, m, k, n))
    product = e.add(ext.Product(left.shape), "product", left.name, right.name)
    summed = len(left.dims.axes) - 2
    axis = [left.dims.step_axis(summed)] if in_step(left.dims.axes[summed]) else []
    axes = [*left.dims.axes[:-2], left.dims.axes[-1]]
    name = e.reduce_sum(product, left.shape, axis) if axis else product
    return over_time(e, Stream(name, left.dims.with_axes(axes)), "sum", over)


def over_time(e: Emitter, x: Stream, kind: str, over: set[Factor]) -> Stream:
    """What a reduction leaves.

    x     its axes are those that are left, its values are reduced over all that is no time
    kind  "mean" or "sum";  over  what was reduced of time
    """
    if not over:
        return x
    share = 1.0
    if x.weights and over <= {WITHIN, GROUPS} and len(over) == 1:
        raise Refusal("SFX-E104", f"a {kind} over groups of weighed steps", CAUSAL)
    if over == {WITHIN}:
        x = e.group_sum(x)
        share = 1.0 / x.dims.group if kind == "mean" else 1.0
    elif over == {GROUPS}:
        if x.dims.holds(WITHIN):
            raise Refusal("SFX-E104", f"a {kind} over the groups mixes steps of several", CAUSAL)
        raise Refusal(
            "SFX-E104",
            f"a {kind} over the groups of values that each group has once",
            "reduce a stream that has its steps on one axis",
        )
    else:
        x = _read_out(x, kind)
    return replace(x, name=e.scale(x.name, x.shape, share))
