"""Legality of the float `Graph`: shapes, operands, constants, loops. Every problem at once.

`check_graph` runs at the boundary from NIR and after every pass on the `Graph`. `output_shape` is
the one place that knows what shape each op makes of its input.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import singledispatch

import numpy as np

from ..ground.errors import Problem, SfxError
from . import graph as g
from .graph import Graph, Node, Op, Shape
from .stairs import MOST_LEVELS

REDUCTIONS = ("mean", "sum", "max", "weighted", "none")
WEIGHTS_OF_STEPS = (2.0**-60, 2.0**60)
"""The largest one of a read-out is 0 or in between, so that float64 holds its scale and offset."""


class ShapeProblem(ValueError):
    """An op cannot take this input; the message gives the reason, without the node's name."""


def window(size: int, kernel: int, stride: int, padding: int, dilation: int = 1) -> int:
    """floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1 (PyTorch's Conv2d)."""
    if min(kernel, stride, dilation) < 1 or padding < 0:
        raise ShapeProblem(
            f"kernel {kernel}, stride {stride} and dilation {dilation} must be at least 1, "
            f"padding {padding} at least 0"
        )
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if out < 1:
        raise ShapeProblem(f"a window of {kernel} does not fit into {size} + 2 * {padding}")
    return out


def _planes(shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise ShapeProblem(f"needs an input (C, H, W), got {shape}")
    return shape[0], shape[1], shape[2]


def _need(ok: bool, what: str) -> None:
    if not ok:
        raise ShapeProblem(what)


@singledispatch
def output_shape(op: Op, shape: Shape, declared: Shape) -> Shape:
    """Shape of `op`'s output for an operand of `shape`; views take theirs from `declared`.

    Raises ShapeProblem where the op cannot take the operand. The default is elementwise.
    """
    return shape


@output_shape.register
def _delay(op: g.Delay, shape: Shape, declared: Shape) -> Shape:
    count = math.prod(shape)
    _need(len(op.each) in (0, count), f"{len(op.each)} delays for {count} values")
    return shape


@output_shape.register
def _conv2d(op: g.Conv2d, shape: Shape, declared: Shape) -> Shape:
    channels, height, width = _planes(shape)
    _need(op.weight.ndim == 4, f"weight {op.weight.shape} is not [O, I/groups, kH, kW]")
    out, per_group, kh, kw = op.weight.shape
    _need(
        op.groups >= 1 and out % op.groups == 0 and per_group * op.groups == channels,
        f"weight {op.weight.shape} with {op.groups} group(s) takes {per_group * op.groups} "
        f"channels, the input has {channels}",
    )
    h = window(height, kh, op.stride[0], op.padding[0], op.dilation[0])
    w = window(width, kw, op.stride[1], op.padding[1], op.dilation[1])
    _need(op.bias.shape in ((out,), (out, h, w)), f"bias {op.bias.shape}, expected ({out},)")
    return (out, h, w)


@output_shape.register
def _linear(op: g.Linear, shape: Shape, declared: Shape) -> Shape:
    _need(op.weight.ndim == 2, f"weight {op.weight.shape} is not [O, I]")
    _need(
        shape == (op.weight.shape[1],),
        f"weight {op.weight.shape} takes a vector of {op.weight.shape[1]}, the input is {shape}",
    )
    _need(
        op.bias.shape == (op.weight.shape[0],),
        f"bias {op.bias.shape}, expected ({op.weight.shape[0]},)",
    )
    return (op.weight.shape[0],)


@output_shape.register
def _batch_norm(op: g.BatchNorm, shape: Shape, declared: Shape) -> Shape:
    _need(0 <= op.axis < len(shape), f"axis {op.axis} of an input {shape}")
    for name in ("weight", "bias", "mean", "var"):
        got = getattr(op, name).shape
        _need(
            got == (shape[op.axis],),
            f"{name} {got}, expected ({shape[op.axis]},), the length of axis {op.axis} of {shape}",
        )
    return shape


@output_shape.register(g.SumPool2d)
@output_shape.register(g.MaxPool2d)
def _pool(op: g.SumPool2d | g.MaxPool2d, shape: Shape, declared: Shape) -> Shape:
    channels, height, width = _planes(shape)
    if isinstance(op, g.MaxPool2d):
        for k, p in zip(op.kernel, op.padding, strict=True):
            # a window that lies in the padding alone would have no maximum
            _need(2 * p <= k, f"padding {p} is more than half of the window {k}")
    h = window(height, op.kernel[0], op.stride[0], op.padding[0])
    w = window(width, op.kernel[1], op.stride[1], op.padding[1])
    return (channels, h, w)


@output_shape.register
def _gather(op: g.Gather, shape: Shape, declared: Shape) -> Shape:
    _need(0 <= op.axis < len(shape), f"axis {op.axis} of an input {shape}")
    _need(all(-1 <= i < shape[op.axis] for i in op.index), f"an index outside {shape[op.axis]}")
    return (*shape[: op.axis], len(op.index), *shape[op.axis + 1 :])


@output_shape.register
def _reduce_sum(op: g.ReduceSum, shape: Shape, declared: Shape) -> Shape:
    _need(
        len(set(op.axes)) == len(op.axes) and all(0 <= a < len(shape) for a in op.axes),
        f"axes {op.axes} of an input {shape}",
    )
    return tuple(n for i, n in enumerate(shape) if i not in op.axes)


@output_shape.register
def _reshape(op: g.Reshape, shape: Shape, declared: Shape) -> Shape:
    _need(
        math.prod(shape) == math.prod(declared),
        f"cannot reshape {shape} ({math.prod(shape)} values) to {declared} "
        f"({math.prod(declared)} values)",
    )
    return declared


@output_shape.register
def _permute(op: g.Permute, shape: Shape, declared: Shape) -> Shape:
    _need(
        sorted(op.order) == list(range(len(shape))),
        f"order {op.order} is not a permutation of the {len(shape)} axes of {shape}",
    )
    return tuple(shape[i] for i in op.order)


@output_shape.register
def _expand(op: g.Expand, shape: Shape, declared: Shape) -> Shape:
    fits = len(shape) == len(declared) and all(
        a in (1, b) for a, b in zip(shape, declared, strict=False)
    )
    _need(fits, f"cannot broadcast {shape} to {declared}: only axes of length 1 expand")
    return declared


# --- constants ------------------------------------------------------------------------------


def constant_problems(op: Op) -> Iterator[tuple[str, str]]:
    """(code, what) for every constant of `op` that is not finite or out of its range."""
    for f in fields(op):
        value = getattr(op, f.name)
        if isinstance(value, np.ndarray | float) and not np.all(np.isfinite(value)):
            bad = int(np.size(value) - np.isfinite(value).sum())
            yield "SFX-E206", f"{f.name} holds {bad} value(s) that are NaN or infinite"
    if isinstance(op, g.LIF | g.LI) and not 0.0 < op.decay <= 1.0:
        yield "SFX-E214", f"decay dt/tau is {op.decay:g}, but must be in (0, 1]"
    if isinstance(op, g.LIF | g.LI) and not 0.0 < op.syn <= 1.0:
        yield "SFX-E214", f"decay of the current dt/tau_syn is {op.syn:g}, but must be in (0, 1]"
    if isinstance(op, g.LIF | g.IF) and (op.drop < 0 or op.unit < 0):
        yield "SFX-E214", f"drop is {op.drop:g} and unit {op.unit:g}, but must be at least 0"
    if isinstance(op, g.LIF | g.IF):
        yield from _firing_problems(op)
    if isinstance(op, g.Delay) and op.steps < 1:
        yield "SFX-E214", f"a delay of {op.steps} steps, but must be at least 1"
    if isinstance(op, g.Delay) and op.each and (min(op.each) < 0 or max(op.each) != op.steps):
        yield "SFX-E214", f"delays of {min(op.each)} to {max(op.each)} steps, at most {op.steps}"
    if isinstance(op, g.BatchNorm) and not np.all(op.var + op.eps > 0):
        yield "SFX-E214", f"var + eps is not positive everywhere (least {op.var.min() + op.eps:g})"
    if isinstance(op, g.Output):
        yield from _output_problems(op)
    if isinstance(op, g.Input) and op.high < 0:
        yield "SFX-E214", f"high is {op.high}, but must be at least 0"


def _output_problems(op: g.Output) -> Iterator[tuple[str, str]]:
    if op.reduce not in REDUCTIONS:
        yield "SFX-E214", f"reduce is {op.reduce!r}, but must be one of {', '.join(REDUCTIONS)}"
    if bool(op.weights) != (op.reduce == "weighted"):
        yield "SFX-E214", f"reduce is {op.reduce!r} with {len(op.weights)} weights of steps"
    least, most = WEIGHTS_OF_STEPS
    largest = max(map(abs, op.weights), default=0.0)
    if not all(map(math.isfinite, op.weights)):
        yield "SFX-E206", "a weight of a step is NaN or infinite"
    elif largest and not least <= largest <= most:
        yield (
            "SFX-E214",
            f"the largest weight of a step is {largest:g}, but must be in {least:g}..{most:g}",
        )


def _firing_problems(op: g.LIF | g.IF) -> Iterator[tuple[str, str]]:
    if op.fires not in g.FIRING:
        yield "SFX-E214", f"fires is {op.fires!r}, but must be one of {', '.join(g.FIRING)}"
    if op.fires == "many" and op.threshold <= 0:
        yield "SFX-E214", f"threshold is {op.threshold:g}, but it fires as often as that fits"
    if op.fires == "twice" and not op.subtract:
        yield "SFX-E214", "fires is 'twice', which needs a reset that subtracts"
    if op.most < 0 or (op.most and op.fires not in ("many", "round")):
        yield (
            "SFX-E214",
            f"most is {op.most}, but must be above 0, of a neuron that fires many times",
        )
    if op.fires == "round":
        yield from _rounding_problems(op)
    if op.fires == "signed":
        yield from _signed_problems(op)
    if op.hold < 0:
        yield "SFX-E214", f"hold is {op.hold} steps, but must be at least 0"


def _rounding_problems(op: g.LIF | g.IF) -> Iterator[tuple[str, str]]:
    if not 1 <= op.most <= MOST_LEVELS:
        yield "SFX-E214", f"most is {op.most}, but must be 1..{MOST_LEVELS} of an integer neuron"
    if op.threshold <= 0 or not op.subtract or op.drop or op.hold or op.floor is not None:
        yield (
            "SFX-E214",
            "an integer neuron (fires 'round') has a threshold above 0 and subtracts it for every "
            "spike: no drop, hold or floor of its own",
        )


def _signed_problems(op: g.LIF | g.IF) -> Iterator[tuple[str, str]]:
    if op.threshold <= 0 or op.hold or op.floor is not None or op.reset:
        yield (
            "SFX-E214",
            "a neuron with spikes of both signs (fires 'signed') has a threshold above 0 and "
            "resets to 0 or by subtraction: no hold or floor of its own",
        )


# --- loops ----------------------------------------------------------------------------------


def loops(nodes: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Strongly connected components with a cycle, from name -> producers (Tarjan, iterative)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    on_path: dict[str, bool] = {}
    path: list[str] = []
    found: list[tuple[str, ...]] = []
    for root in nodes:
        if root in index:
            continue
        stack = [(root, iter(nodes[root]))]
        index[root] = low[root] = len(index)
        path.append(root)
        on_path[root] = True
        while stack:
            name, pending = stack[-1]
            for p in pending:
                if p not in nodes:
                    continue
                if p not in index:
                    index[p] = low[p] = len(index)
                    path.append(p)
                    on_path[p] = True
                    stack.append((p, iter(nodes[p])))
                    break
                if on_path[p]:
                    low[name] = min(low[name], index[p])
            else:
                stack.pop()
                if stack:
                    low[stack[-1][0]] = min(low[stack[-1][0]], low[name])
                if low[name] == index[name]:
                    component = path[path.index(name) :]
                    del path[-len(component) :]
                    for member in component:
                        on_path[member] = False
                    if len(component) > 1 or name in nodes[name]:
                        found.append(tuple(component))
    return found


def _loop_problem(graph: Graph, loop: tuple[str, ...]) -> Problem | None:
    """A loop may hold one neuron, and else only what is linear.

    Such a neuron sees its own spikes one model step later (a bias on the way counts at every step).
    A loop through several neurons would need several hardware steps for one model step.
    """
    names = ", ".join(sorted(loop))
    neurons = [n for n in loop if graph[n].op.neuron]
    where = neurons[0] if neurons else sorted(loop)[0]
    if not neurons:
        what = f"the loop {names} holds no neuron, so nothing delays it by a step"
    elif len(neurons) > 1:
        what = (
            f"the loop {names} passes {len(neurons)} neurons, at most 1 is possible: one model "
            "step takes one hardware step, and each neuron on the way takes one more"
        )
    elif not isinstance(graph[neurons[0]].op, g.LIF | g.IF):
        kind = type(graph[neurons[0]].op).__name__
        what = f"the loop {names} closes over a {kind}, not a LIF or IF"
    else:
        allowed = (*g.VIEWS, *g.LINEAR, g.Sum, g.Scale)
        for name in sorted(loop):
            op = graph[name].op
            if name not in neurons and not isinstance(op, allowed):
                what = f"the loop {names} passes a {type(op).__name__}, which is not linear"
                break
        else:
            return None
    return Problem(
        "SFX-E207", where, what, "a neuron may feed back to itself through linear nodes only"
    )


# --- the whole ------------------------------------------------------------------------------


def check_graph(graph: Graph) -> None:
    """Raise SfxError with every problem of `graph` (SFX-E2xx), or return.

    Checked: names, ends, operands per port, shapes, finite and legal constants, loops, order,
    nodes that reach no output, T and dt.
    """
    problems = list(graph_problems(graph))
    if problems:
        raise SfxError.of(problems)


def graph_problems(graph: Graph) -> Iterator[Problem]:
    """Every problem of `graph`, in node order."""
    yield from _fact_problems(graph)
    yield from _group_problems(graph)
    yield from _time_map_problems(graph)
    seen: set[str] = set()
    for node in graph:
        if not node.name or "/" in node.name or node.name in seen:
            yield Problem(
                "SFX-E212", node.name, "a node's name must be unique, not empty, without '/'"
            )
        seen.add(node.name)
    dangling = list(_operand_problems(graph))
    yield from dangling
    if dangling:
        return  # the checks below follow the operands
    for node in graph:
        yield from _node_problems(graph, node)
    for loop in loops({n.name: n.producers for n in graph}):
        problem = _loop_problem(graph, loop)
        if problem:
            yield problem
    yield from _order_problems(graph)
    yield from _dead_problems(graph)


def _fact_problems(graph: Graph) -> Iterator[Problem]:
    if graph.timesteps < 1:
        yield Problem("SFX-E209", graph.name, f"T is {graph.timesteps}, but must be at least 1")
    if not (math.isfinite(graph.dt) and graph.dt > 0):
        yield Problem("SFX-E209", graph.name, f"dt is {graph.dt}, but must be positive seconds")
    for kind in (g.Input, g.Output):
        found = graph.of_type(kind)
        if len(found) != 1:
            names = ", ".join(n.name for n in found) or "none"
            yield Problem(
                "SFX-E210", graph.name, f"needs exactly one {kind.__name__}, found {names}"
            )
    for node in graph.of_type(g.Output):
        assert isinstance(node.op, g.Output)
        if node.op.weights and len(node.op.weights) != graph.timesteps:
            what = f"has {len(node.op.weights)} weights of steps for T = {graph.timesteps}"
            yield Problem("SFX-E214", node.name, what)


def _group_problems(graph: Graph) -> Iterator[Problem]:
    for node in graph.of_type(g.TimeSum):
        assert isinstance(node.op, g.TimeSum)
        group = node.op.group
        if group and (group < 1 or graph.timesteps < 1 or graph.timesteps % group):
            yield Problem(
                "SFX-E230",
                node.name,
                f"sums over groups of {group} steps, but T is {graph.timesteps}",
                "use a T that is a whole number of groups, or a group size that divides T",
            )


def _time_map_problems(graph: Graph) -> Iterator[Problem]:
    steps = graph.timesteps
    for node in graph.of_type(g.TimeMap):
        assert isinstance(node.op, g.TimeMap)
        weight, bias = node.op.weight, node.op.bias
        if weight.shape != (steps, steps) or bias.shape != (steps,):
            yield Problem(
                "SFX-E231",
                node.name,
                f"weights of steps {weight.shape} with a bias {bias.shape}, but T is {steps}",
                f"run the model with the T it was trained for ({len(weight)})",
            )


def _operand_problems(graph: Graph) -> Iterator[Problem]:
    for node in graph:
        kind = type(node.op).__name__
        if len(node.inputs) != len(node.op.ports):
            yield Problem(
                "SFX-E213",
                node.name,
                f"{kind} has {len(node.op.ports)} port(s), {len(node.inputs)} are connected",
            )
        for port, producers in enumerate(node.inputs):
            if not producers:
                yield Problem("SFX-E213", node.name, f"port {port} of {kind} has no producer")
            for p in producers:
                if p not in graph:
                    yield Problem("SFX-E204", node.name, f"reads {p!r}, which does not exist")
                elif isinstance(graph[p].op, g.Output):
                    yield Problem("SFX-E213", node.name, f"reads {p!r}, which is an Output")


def _node_problems(graph: Graph, node: Node) -> Iterator[Problem]:
    for code, what in constant_problems(node.op):
        yield Problem(code, node.name, what)
    if any(n < 1 for n in node.shape):
        yield Problem("SFX-E205", node.name, f"shape {node.shape} has an axis without elements")
        return
    shapes: list[Shape] = []
    for producers in node.inputs:
        sent = {p: graph[p].shape for p in producers}
        if len(set(sent.values())) > 1:
            text = ", ".join(f"{p} {s}" for p, s in sent.items())
            yield Problem("SFX-E205", node.name, f"sums operands of different shapes: {text}")
            return
        shapes += list(sent.values())[:1]
    if len(set(shapes)) > 1:
        yield Problem("SFX-E205", node.name, f"operands have different shapes: {shapes}")
        return
    if not shapes:
        return
    try:
        shape = output_shape(node.op, shapes[0], node.shape)
    except ShapeProblem as problem:
        yield Problem("SFX-E205", node.name, f"{type(node.op).__name__}: {problem}")
        return
    if shape != node.shape:
        yield Problem(
            "SFX-E205", node.name, f"makes {shape} of {shapes[0]}, but is declared {node.shape}"
        )


def _order_problems(graph: Graph) -> Iterator[Problem]:
    """Producers come first, but for the edges that close a loop."""
    position = {n.name: i for i, n in enumerate(graph)}
    together: dict[str, int] = {}
    for i, loop in enumerate(loops({n.name: n.producers for n in graph})):
        together |= dict.fromkeys(loop, i)
    for node in graph:
        for p in node.producers:
            late = position[p] >= position[node.name]
            if late and together.get(p, -1) != together.get(node.name, -2):
                yield Problem("SFX-E213", node.name, f"comes before its producer {p!r}")


def _dead_problems(graph: Graph) -> Iterator[Problem]:
    alive = {n.name for n in graph.of_type(g.Output)}
    todo = list(alive)
    while todo:
        for p in graph[todo.pop()].producers:
            if p not in alive:
                alive.add(p)
                todo.append(p)
    for node in graph:
        if node.name not in alive:
            yield Problem(
                "SFX-E215", node.name, "reaches no Output", "remove the node or connect it"
            )
