"""Models that loop over time themselves: the copies of a step are folded into one.

    for t in range(T):
        cur = self.fc(x[t])               one node "fc", whatever t: `Walk` finds the copy
        spk, mem = self.lif(cur, mem)     one node "lif": its state must come from step t - 1
        out.append(spk)
    torch.stack(out)                      the stream of "lif" with its time axis

A stream without a time axis stands for one step (`Stream.step`), or, where its step is None, for
a value that is the same at every step (an image shown for T steps).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx

from ..neurons.levels_op import NAME as LEVELS
from ..neurons.lif_op import NAME as LIF
from ..neurons.refusal import Refusal
from ..neurons.step_op import NAME
from .calls import TracedCalls, which
from .dims import BATCH, TIME, Dims
from .emitter import Emitter, Stream, needs_steps
from .neuron import add_neuron
from .ops_select import joined, taken
from .rules import HINTS, result_shape, rule

LOOP = (
    "inside the loop over time use x[t] and each neuron's own spikes and state of the step before"
)


@dataclass(frozen=True)
class State:
    """A state variable of a neuron after `step`, as the model carries it to the next one.

    step   ENDED after a neuron that ran over all steps at once
    exact  False once the model computed with it: good for nothing but a dead branch
    """

    neuron: str
    step: int
    exact: bool = True


@dataclass(frozen=True)
class Partial:
    """The sum of `stream` over some of the steps: an accumulator inside the loop."""

    stream: Stream
    steps: tuple[int, ...]


Carried = State | Partial

STEPWISE = {
    LIF, NAME, LEVELS, "aten::select", "aten::unbind", "aten::stack", "aten::cat",
    "aten::zeros_like", "aten::new_zeros", "aten::full_like", "aten::new_full",
    "aten::ones_like", "aten::new_ones",
}  # fmt: skip
"""Ops whose rules see the steps of their operands; to all others a step is like any other."""

ENDED = -1
TWICE = (
    "use one neuron module per layer, or reset it between the two calls "
    "(functional.reset_net(self.lif), no state passed); a MultiStep starts anew with every call"
)


@rule(LIF)
def lif(
    e: Emitter, node: fx.Node, x: Stream, state: list[Any], number: int, rests: list[float]
) -> list[Any]:
    """The neuron of this module, and its states."""
    needs_steps(x, "a neuron runs")
    if x.dims.solid(0) != (TIME,) and not x.dims.shape[0] == x.dims.steps == 1:
        raise Refusal(
            "SFX-E104",
            f"axis 0 of the neuron's input {x.dims.shape} is not the time axis alone",
            "a MultiStep takes [T, B, ...]: unflatten the axes before it",
        )
    _no_call_before(state)
    _rests(state, rests)
    x = e.view(x, _neurons_axes(x.dims))
    name = add_neuron(e, x, number)
    call, total = which(node, LIF, number)
    if name not in e.membranes:
        e.traced_calls[name] = TracedCalls(number, x.dims, total, [call])
    return [replace(x, name=name, reduce=None), *[State(name, ENDED)] * (2 * len(rests))]


@rule(LEVELS)
def levels(e: Emitter, node: fx.Node, x: Stream, state: list[Any], number: int) -> Stream:
    """An integer neuron without a memory: elementwise, the same at every step of a loop."""
    needs_steps(x, "a neuron runs")
    call, total = which(node, LEVELS, number)
    known = e.stateless.get((number, x.name)) if x.step is not None else None
    if known is None:
        known = add_neuron(e, x, number)
        e.traced_calls[known] = TracedCalls(number, x.dims, total)
        if x.step is not None:
            e.stateless[number, x.name] = known
    e.traced_calls[known].calls.append(call)
    return replace(x, name=known)


def _neurons_axes(dims: Dims) -> Dims:
    """Axes [T, B, ...] of what a neuron takes, where an axis of length 1 was taken for another."""
    rest = [tuple(f for f in axis if f != TIME) for axis in dims.axes[1:]]
    if rest[:1] == [()] and not dims.holds(BATCH):
        rest[0] = (BATCH,)
    return dims.with_axes([(TIME,), *rest])


def _no_call_before(state: list[Any]) -> None:
    """Refuse a neuron over all steps that goes on where another such call ended."""
    for held in state:
        if isinstance(held, State):
            raise Refusal(
                "SFX-E109",
                "starts from the membrane with which an earlier call in the same forward() ended: "
                f"the last step of {held.neuron} comes before the first one here",
                TWICE,
            )
        if isinstance(held, Stream):
            raise Refusal("SFX-E104", "a neuron's state is computed from the input", LOOP)


def _rests(state: list[Any], rests: list[float]) -> None:
    """Refuse constants that are not the neuron's state at rest."""
    for value, rest in zip(state, rests, strict=True):
        if isinstance(value, Tensor) and value.numel() and not bool((value == rest).all()):
            raise Refusal("SFX-E105", "the neuron does not start at rest", "start from zeros")


@rule(NAME)
def lif_step(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    state: list[Any],
    number: int,
    rests: list[float],
) -> list[Any]:
    """One step of a neuron; the first makes the graph's node, the others must fit to it."""
    needs_steps(x, "a neuron runs")
    if x.dims.spread:
        raise Refusal(
            "SFX-E104",
            "a neuron that computes one step is given all steps at once",
            "loop over time, or use the neuron's multi-step form "
            "(SpikingJelly: functional.set_step_mode(model, 'm'))",
        )
    state = [_handed_on(e, s) for s in state]
    known, step = _position(state, rests)
    if known is not None and x.step is not None and x.step + 1 == step:
        raise Refusal(
            "SFX-E109",
            f"computes another layer at step {x.step}, from the membrane that its call for "
            f"{e.fed.get(known, known)} left at that step",
            "use one neuron module per layer",
        )
    if x.step not in (None, step):
        raise Refusal(
            "SFX-E104", f"the neuron's state is at step {step}, its input at step {x.step}", LOOP
        )
    if known is None:
        known = add_neuron(e, x, number)
        e.fed[known] = x.name
        if known not in e.membranes:
            e.traced_calls[known] = TracedCalls(number, x.dims, which(node, NAME, number)[1])
    if e.fed[known] != x.name:
        raise Refusal(
            "SFX-E104",
            f"at step {step} the neuron's input is computed in another way than at step 0",
            f"{LOOP}; one neuron module per layer, because two calls share a membrane",
        )
    if known not in e.membranes:
        e.traced_calls[known].calls.append(which(node, NAME, number)[0])
    carried = [State(known, step) for _ in rests]
    return [replace(x, name=known, step=step), *carried]


def _handed_on(e: Emitter, value: Any) -> Any:
    """A membrane that never fires is a value, and the neuron's state when it comes back to it."""
    if isinstance(value, Stream) and value.name in e.membranes and value.step is not None:
        return State(value.name, value.step)
    return value


def _position(state: list[Any], rests: list[float]) -> tuple[str | None, int]:
    """(the graph's node, None for a new one; the step) of a call."""
    carried = [s for s in state if isinstance(s, State)]
    spikes = [s for s in state if isinstance(s, Stream)]  # of a recurrent neuron, its own
    if any(not carried or (s.name, s.step) != (carried[0].neuron, carried[0].step) for s in spikes):
        raise Refusal("SFX-E104", "a neuron's state is computed from the input", LOOP)
    if not carried:
        _rests(state, rests)
        return None, 0
    if any(s.step == ENDED for s in carried):
        _no_call_before(carried)
    first = carried[0]
    if len(carried) + len(spikes) < len(state) or any(s != first or not s.exact for s in carried):
        raise Refusal("SFX-E104", "the neuron's state is changed between the steps", LOOP)
    return first.neuron, first.step + 1


# --- from steps to the time axis and back ---------------------------------------------------


@rule("aten::select")
def select(e: Emitter, node: fx.Node, x: Any, dim: int, index: int) -> Any:
    """One step of a stream, x[t]."""
    if isinstance(x, State):
        return replace(x, exact=False)
    _no_partial(x)
    return _at(e, x, dim % len(x.dims.axes), index)


@rule("aten::unbind")
def unbind(e: Emitter, node: fx.Node, x: Any, dim: int = 0) -> Any:
    """All steps of a stream, one by one."""
    if isinstance(x, State):
        return [replace(x, exact=False)] * len(node.meta["val"])
    _no_partial(x)
    dim %= len(x.dims.axes)
    return [_at(e, x, dim, t) for t in range(x.dims.shape[dim])]


def _at(e: Emitter, x: Stream, dim: int, index: int) -> Stream:
    """Element `index` of an axis: a step, or all there is."""
    dims = x.dims.with_axes(a for i, a in enumerate(x.dims.axes) if i != dim)
    if x.dims.solid(dim) == (TIME,):
        return replace(x, dims=dims, step=index % x.dims.steps)
    if x.dims.shape[dim] > 1:
        x = taken(e, x, dim, [index % x.dims.shape[dim]], "takes")
    step = 0 if TIME in x.dims.axes[dim] else x.step
    return replace(e.view(x, dims), step=step)


@rule("aten::stack")
def stack(e: Emitter, node: fx.Node, parts: list[Any], dim: int = 0) -> Any:
    """The steps 0 to T-1 of one stream, under a new time axis, or values side by side."""
    if _side_by_side(e, parts):
        return joined(e, node, [_with_axis(e, p, dim) for p in parts], dim)
    whole = _whole(e, parts, "stack")
    if not isinstance(whole, Stream):
        return whole
    axes = list(whole.dims.axes)
    axes.insert(dim % (len(axes) + 1), (TIME,))
    return replace(whole, dims=whole.dims.with_axes(axes))


@rule("aten::cat")
def cat(e: Emitter, node: fx.Node, parts: list[Any], dim: int = 0) -> Any:
    """The steps 0 to T-1 of one stream, or values side by side: padded with zeros, and added."""
    if _side_by_side(e, parts):
        return joined(e, node, parts, dim)
    whole = _whole(e, parts, "cat")
    if not isinstance(whole, Stream):
        return whole
    axes = list(whole.dims.axes)
    axes[dim] = (TIME, *axes[dim])
    return e.view(whole, whole.dims.with_axes(axes))


def _side_by_side(e: Emitter, parts: list[Any]) -> bool:
    """Whether parts are joined along an axis of space: they are no steps of one stream."""
    streams = [p for p in parts if isinstance(p, Stream)]
    if any(isinstance(p, State | Partial) for p in parts) or len(parts) == 1:
        return False
    several = len({s.step for s in streams}) > 1
    return not several and not (len(streams) == len(parts) and _shown(e, streams))


def _shown(e: Emitter, streams: list[Stream]) -> bool:
    """Whether they are an image that the model shows at each of its steps: [image] * T."""
    first = streams[0]
    same = all(s == first for s in streams) and first.step is None and first.reduce is None
    return e.repeats and same and len(streams) == first.dims.steps and not first.dims.timed


def _with_axis(e: Emitter, part: Any, dim: int) -> Any:
    """A part of a stack with its new axis of length 1."""
    if not isinstance(part, Stream):
        return part.unsqueeze(dim)
    axes = list(part.dims.axes)
    axes.insert(dim % (len(axes) + 1), ())
    return e.view(part, part.dims.with_axes(axes))


def _whole(e: Emitter, parts: list[Any], what: str) -> Any:
    """The stream whose steps `parts` are, still without a time axis; a State if they are states."""
    for part in parts:
        if isinstance(part, State):
            return replace(part, exact=False)
        _no_partial(part)
    streams = [p for p in parts if isinstance(p, Stream)]
    first = streams[0]
    if len(streams) == len(parts) == first.dims.steps == 1:
        return replace(first, step=None)
    if len(streams) == len(parts) and _shown(e, streams):
        return first
    if any(s.step is None for s in streams) or len(streams) < len(parts):
        raise Refusal("SFX-E103", f"the op aten::{what} is not mapped", HINTS[what])
    if {(s.name, s.dims) for s in streams} != {(first.name, first.dims)}:
        raise Refusal("SFX-E104", "joins values that each step computes in another way", LOOP)
    steps = first.dims.steps
    if [s.step for s in streams] != list(range(steps)):
        raise Refusal(
            "SFX-E104", f"joins other steps than 0 to {steps - 1} in order", "keep every step"
        )
    return replace(first, step=None)


def _no_partial(x: Any) -> None:
    if isinstance(x, Partial):
        raise Refusal("SFX-E104", "a sum over a part of the steps", LOOP)


def accumulated(e: Emitter, a: Any, b: Any, alpha: float) -> Any:
    """`total + y[t]` inside the loop; None where this is an addition as any other."""
    for total, y in ((a, b), (b, a)):
        before = total.steps if isinstance(total, Partial) else (getattr(total, "step", None),)
        stream = total.stream if isinstance(total, Partial) else total
        if not isinstance(y, Stream) or not isinstance(stream, Stream):
            continue
        if None in before or y.step is None or alpha != 1 or y.step in before:
            continue
        if (stream.name, stream.dims, stream.reduce) != (y.name, y.dims, y.reduce):
            continue
        steps = (*before, y.step)
        if len(steps) < y.dims.steps:
            return Partial(replace(stream, step=None), steps)
        return replace(stream, step=None, reduce="sum")
    if isinstance(a, Partial) or isinstance(b, Partial):
        rest = [v for v in (a, b) if not isinstance(v, Partial)]
        zero = rest and not isinstance(rest[0], Stream) and not torch.as_tensor(rest[0]).any()
        if not zero:
            _no_partial(a)
            _no_partial(b)
        return a if isinstance(a, Partial) else b
    return None


# --- constants in the shape of a stream -----------------------------------------------------


@rule("aten::zeros_like", "aten::new_zeros")
def zeros(e: Emitter, node: fx.Node, x: Any, *rest: Any, **options: Any) -> Tensor:
    """Zeros, whatever the stream holds: a state at rest, an empty accumulator."""
    return torch.zeros(result_shape(node), dtype=node.meta["val"].dtype)


@rule("aten::full_like", "aten::new_full")
def full(e: Emitter, node: fx.Node, x: Any, *rest: Any, **options: Any) -> Tensor:
    """One number everywhere."""
    return torch.full(result_shape(node), rest[-1], dtype=node.meta["val"].dtype)


@rule("aten::ones_like", "aten::new_ones")
def ones(e: Emitter, node: fx.Node, x: Any, *rest: Any, **options: Any) -> Tensor:
    """Ones everywhere."""
    return torch.ones(result_shape(node), dtype=node.meta["val"].dtype)
