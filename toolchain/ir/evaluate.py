"""Executes a float `Graph` in numpy float64: what the model means, before any quantization.

Calibration records from it, and tests compare it with the source model. Stateless nodes run on
all samples and steps at once; only neurons with a state, and loops, step through time. A neuron's
state is rounded to float32 at every step, as its framework does, so that ties are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ground.errors import InputError
from . import graph as g
from .check import loops, window
from .graph import FloatArray, Graph, Node, Op, topological
from .pair_products import contract
from .single import single

SPIKING = (g.LIF, g.IF, g.Threshold)
"""Ops that send 0 or 1 (or a few spikes at once, see `graph.FIRING`)."""
CHUNK_BYTES = 256 << 20
"""Samples run in groups so that the largest node of a group stays below this."""

NOTHING: Mapping[str, NDArray[Any]] = {}

Progress = Callable[[int, int], None]
"""Called with (samples done, samples in all)."""


def run(
    graph: Graph,
    x: ArrayLike,
    *,
    keep: Collection[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, FloatArray]:
    """Run K samples, each from a cleared state.

    x [K, T, *input shape]; returns name -> [K, T, *shape] for the nodes in `keep` (None: all).
    Raises InputError SFX-E216 if the data or `keep` do not match the graph.
    """
    return _run(graph, x, keep, np.float64, progress)


def record(
    graph: Graph, x: ArrayLike, keep: Collection[str], progress: Progress | None = None
) -> dict[str, NDArray[Any]]:
    """As `run`, but spikes come in one byte each: for nets with millions of neurons."""
    return _run(graph, x, keep, np.uint8, progress)


def visit(
    graph: Graph,
    x: ArrayLike,
    given: Mapping[str, NDArray[Any]],
    keep: Collection[str],
    see: Callable[[Node, FloatArray], None],
) -> None:
    """As `run`, but nodes of `given` have these values [K, T, *shape] and are not computed.

    They have no producers in `graph`. `see` receives each node of `keep` as soon as it is known, so
    that no more than the running values are held.
    """
    data = np.asarray(x, dtype=np.float64)
    _check(graph, data, keep)
    names = set(keep)
    lazy, summed = _lazy_products(graph, names), _summed_products(graph, names)
    _run_group(graph, _plan(graph), lazy, summed, data, names, see, given)


def _run(
    graph: Graph,
    x: ArrayLike,
    keep: Collection[str] | None,
    spikes: type[np.generic],
    progress: Progress | None,
) -> dict[str, NDArray[Any]]:
    data = np.asarray(x, dtype=np.float64)
    _check(graph, data, keep)
    names = {n.name for n in graph} if keep is None else set(keep)
    plan = _plan(graph)
    lazy = set() if keep is None else _lazy_products(graph, names)
    summed = set() if keep is None else _summed_products(graph, names)
    group = max(1, CHUNK_BYTES // (8 * graph.timesteps * _largest(graph, lazy | summed)))
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}

    def store(node: Node, values: FloatArray) -> None:
        kind = spikes if _bits(node.op) else np.float64
        parts[node.name].append(np.ascontiguousarray(values, dtype=kind))

    for start in range(0, data.shape[0], group):
        _run_group(graph, plan, lazy, summed, data[start : start + group], names, store)
        if progress is not None:
            progress(min(start + group, data.shape[0]), data.shape[0])
    return {n.name: _joined(parts.pop(n.name)) for n in graph if n.name in names}


def _joined(parts: list[NDArray[Any]]) -> NDArray[Any]:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def readout(graph: Graph, steps: FloatArray) -> FloatArray:
    """The Output node's [K, T, *shape] reduced over the steps as its `reduce` says."""
    op = graph.of_type(g.Output)[0].op
    if not isinstance(op, g.Output) or op.reduce == "none":
        return steps
    total: FloatArray = steps.sum(axis=1)
    return total / graph.timesteps if op.reduce == "mean" else total


def _check(graph: Graph, x: FloatArray, keep: Collection[str] | None) -> None:
    want = (graph.timesteps, *graph.of_type(g.Input)[0].shape)
    if x.ndim < 1 or x.shape[0] < 1 or x.shape[1:] != want:
        raise InputError(
            "SFX-E216",
            f"data has shape {x.shape}, the graph takes [K, T, ...] = (K, {str(want)[1:]}",
            where=graph.name,
        )
    unknown = sorted(set(keep or ()) - {n.name for n in graph})
    if unknown:
        raise InputError("SFX-E216", f"no such node: {', '.join(unknown)}", where=graph.name)


def _plan(graph: Graph) -> list[tuple[Node, ...]]:
    """Nodes so that producers come first, the members of a loop together (in graph order)."""
    of: dict[str, int] = {}
    for i, loop in enumerate(loops({n.name: n.producers for n in graph})):
        of |= dict.fromkeys(loop, i)
    members: dict[int, list[Node]] = {}
    for node in graph:
        if node.name in of:
            members.setdefault(of[node.name], []).append(node)
    order: list[tuple[Node, ...]] = []
    placed: set[str] = set()
    stack = [(node, False) for node in reversed(graph.nodes)]
    while stack:
        node, ready = stack.pop()
        step = tuple(members[of[node.name]]) if node.name in of else (node,)
        if step[0].name in placed:
            continue
        own = {n.name for n in step}
        needs = {p for n in step for p in n.producers} - own - placed
        if ready or not needs:
            order.append(step)
            placed |= own
        else:
            stack.append((node, True))
            stack += [(graph[p], False) for p in sorted(needs)]
    return order


def _lazy_products(graph: Graph, keep: set[str]) -> set[str]:
    """Products whose value only one ReduceSum needs: contracted there, never stored.

    The AND of two spikes, as the compiler lowers attention's products, is a product as well.
    """
    found = set()
    for node in graph.of_type(g.Product, g.Threshold):
        consumers = graph.consumers[node.name]
        if node.name in keep or len(consumers) != 1 or not _is_product(graph, node):
            continue
        after = graph[consumers[0][0]]
        if isinstance(after.op, g.ReduceSum) and after.producers == (node.name,):
            found.add(node.name)
    return found


def _summed_products(graph: Graph, keep: set[str]) -> set[str]:
    """Products that only a TimeSum reads, through views: contracted over the steps at once."""
    found = set()
    for node in graph.of_type(g.Product, g.Threshold):
        chain = [node]
        while len(graph.consumers[chain[-1].name]) == 1:
            chain.append(graph[graph.consumers[chain[-1].name][0][0]])
            if not isinstance(chain[-1].op, g.VIEWS):
                break
        alone = chain[-1].producers == (chain[-2].name,) if len(chain) > 1 else False
        kept = any(n.name in keep for n in chain[:-1])
        if alone and isinstance(chain[-1].op, g.TimeSum) and not kept and _is_product(graph, node):
            found.add(node.name)
    return found


def _is_product(graph: Graph, node: Node) -> bool:
    """A Product, or a threshold that two spikes pass only together."""
    if isinstance(node.op, g.Product):
        return True
    both = isinstance(node.op, g.Threshold) and 1 <= node.op.threshold < 2
    return both and len(node.producers) == 2 and all(_spikes(graph, p) for p in node.producers)


def _spikes(graph: Graph, name: str) -> bool:
    """Whether a node passes on spikes of one neuron each, 0 or 1."""
    node = graph[name]
    while isinstance(node.op, g.VIEWS) and len(node.producers) == 1:
        node = graph[node.producers[0]]
    return _bits(node.op)


def _bits(op: Op) -> bool:
    """Whether an op sends 0 or 1."""
    return isinstance(op, SPIKING) and getattr(op, "fires", "once") != "many"


def _operands(values: dict[str, FloatArray], product: Node) -> tuple[FloatArray, FloatArray]:
    if isinstance(product.op, g.Product):
        a, b = (_total(values, port) for port in product.inputs)
        return a, b
    a, b = (values[p] for p in product.producers)
    return a, b


def _largest(graph: Graph, lazy: set[str]) -> int:
    """Most values that one node takes per sample and step, im2col included."""
    sizes = [1]
    for node in graph:
        if node.name in lazy or isinstance(node.op, g.Expand):
            continue  # a view: nothing is stored
        size = math.prod(node.shape)
        if isinstance(node.op, g.Conv2d):
            _, per_group, kh, kw = node.op.weight.shape
            size += per_group * node.op.groups * kh * kw * math.prod(node.shape[1:])
        sizes.append(size)
    return max(sizes)


def _run_group(
    graph: Graph,
    plan: list[tuple[Node, ...]],
    lazy: set[str],
    summed: set[str],
    x: FloatArray,
    keep: set[str],
    store: Callable[[Node, FloatArray], None],
    given: Mapping[str, NDArray[Any]] = NOTHING,
) -> None:
    """One group of samples; each node of `keep` goes to `store` as soon as it is known."""
    values: dict[str, FloatArray] = {}
    left = {name: len(users) for name, users in graph.consumers.items()}
    for step in plan:
        node = step[0]
        if len(step) > 1 or node.name in node.producers:
            values |= _run_loop(step, values, x.shape[:2])
        elif node.name in given:
            values[node.name] = np.asarray(given[node.name], np.float64)
        elif isinstance(node.op, g.Input):
            values[node.name] = x
        elif node.name in lazy:
            continue
        elif node.name in summed:
            a, b = _operands(values, node)
            values[node.name] = contract(a, b, (1,))[:, None]
        elif node.producers and node.producers[0] in lazy:
            product = graph[node.producers[0]]
            a, b = _operands(values, product)
            axes = tuple(i + 2 for i in node.op.axes) if isinstance(node.op, g.ReduceSum) else ()
            values[node.name] = contract(a, b, axes)
            _release(values, left, product)
        else:
            operands = [_total(values, port) for port in node.inputs]
            values[node.name] = _all_steps(node, operands, graph.timesteps)
        for member in step:
            if member.name in keep:
                store(member, values[member.name])
        for member in step:
            if not left[member.name]:
                values.pop(member.name, None)
            if not (member.producers and member.producers[0] in lazy):
                _release(values, left, member)


def _release(values: dict[str, FloatArray], left: dict[str, int], node: Node) -> None:
    for p in node.producers:
        left[p] -= 1
        if left[p] == 0:
            values.pop(p, None)


def _total(values: dict[str, FloatArray], producers: tuple[str, ...]) -> FloatArray:
    total = values[producers[0]]
    for p in producers[1:]:
        total = total + values[p]
    return total


def _all_steps(node: Node, operands: list[FloatArray], timesteps: int) -> FloatArray:
    """One node over [K, T, *shape] operands; [K, 1, *shape] for what only a sum over T reads."""
    if isinstance(node.op, g.Product):
        return operands[0] * operands[1]
    (x,) = operands
    if isinstance(node.op, g.LIF | g.IF):
        neuron = Neuron(node.op)
        return np.stack([neuron.step(x[:, t]) for t in range(x.shape[1])], axis=1)
    if isinstance(node.op, g.Integrator):
        summed: FloatArray = np.cumsum(node.op.gain * x, axis=1)
        return summed
    if isinstance(node.op, g.Delay):
        late = np.zeros_like(x)
        late[:, node.op.steps :] = x[:, : max(x.shape[1] - node.op.steps, 0)]
        return late
    if isinstance(node.op, g.TimeSum):
        total = x.sum(axis=1, keepdims=True)
        return np.broadcast_to(total, (len(x), timesteps, *x.shape[2:]))
    if isinstance(node.op, g.VIEWS) and x.shape[1] > 1 and x.strides[1] == 0:
        once = _all_steps(node, [x[:, :1]], timesteps)  # the same at every step
        return np.broadcast_to(once, (*x.shape[:2], *node.shape))
    lead = x.shape[:2]
    if isinstance(node.op, g.Expand):
        return np.broadcast_to(x, (*lead, *node.shape))
    y = apply(node.op, x.reshape(-1, *x.shape[2:]))
    return y.reshape(*lead, *node.shape)


class Neuron:
    """The state of one LIF or IF node over samples; a fresh one has v = start, i = 0."""

    def __init__(self, op: g.LIF | g.IF) -> None:
        self.op = op
        self.threshold = float(single(op.threshold))
        self.v: FloatArray | float = op.start
        self.i: FloatArray | float = 0.0
        self.held: FloatArray | float = 0.0

    def step(self, x: FloatArray) -> FloatArray:
        """One model step of input x [K, *shape]: the spikes, 0.0 or 1.0, or how many."""
        op, x = self.op, single(x)
        if isinstance(op, g.LIF):
            if op.syn != 1.0:
                self.i = x = single(self.i + op.syn * (op.w_in * x - self.i))
            elif op.w_in != 1.0:
                x = op.w_in * x
            v = self.v + op.decay * ((op.leak - self.v) + op.gain * x)
        else:
            v = self.v + op.gain * x
        if op.hold:
            v = np.where(np.asarray(self.held) > 0, op.reset, v)
        v = single(v)
        spikes = self._fired(v)
        self.v = np.where(spikes > 0, self._reset(v, spikes), v)
        if op.floor is not None:  # in two float32 steps, as sinabs rounds
            self.v = single(np.maximum(single(self.v - op.floor), 0.0) + op.floor)
        if op.hold:
            self.held = np.where(spikes > 0, op.hold, np.maximum(self.held - 1.0, 0.0))
        return spikes

    def _reset(self, v: FloatArray, spikes: FloatArray) -> FloatArray | float:
        if not self.op.subtract:
            return float(single(self.op.reset))
        # a drop of its own is not taken off in float32: it stands for what the next step does
        return v - self.op.drop * spikes if self.op.drop else single(v - self.threshold * spikes)

    def _fired(self, v: FloatArray) -> FloatArray:
        """How often each neuron fires at v, after the membrane of the step before."""
        threshold = self.threshold
        if self.op.fires == "many":
            n = np.maximum(np.floor(single(v / threshold)), 0.0)
            fewer: FloatArray = n if self.op.reached else n - ((n > 0) & (v <= n * threshold))
            return np.minimum(fewer, self.op.most) if self.op.most else fewer
        if self.op.fires == "twice":
            v = v - (self.op.drop or threshold) * self._over(np.asarray(self.v))
        return self._over(v)

    def _over(self, v: FloatArray) -> FloatArray:
        over = v >= self.threshold if self.op.reached else v > self.threshold
        return over.astype(np.float64)


def _run_loop(
    members: tuple[Node, ...], values: dict[str, FloatArray], lead: tuple[int, ...]
) -> dict[str, FloatArray]:
    """A loop step by step: its neuron comes last, so what leaves it carries the step before."""
    linear = topological(tuple(n for n in members if not n.op.neuron))
    members = (*linear, *(n for n in members if n.op.neuron))
    position = {n.name: i for i, n in enumerate(members)}
    inside = {n.name: np.zeros((*lead, *n.shape)) for n in members}
    neurons = {n.name: Neuron(n.op) for n in members if isinstance(n.op, g.LIF | g.IF)}
    arrays = values | inside
    operand = {n.name: arrays[n.producers[0]].shape[2:] for n in members}
    for t in range(lead[1]):
        for node in members:
            x = np.zeros((lead[0], *operand[node.name]))
            for p in node.producers:
                if p not in position:
                    x = x + values[p][:, t]
                elif position[p] < position[node.name]:
                    x = x + inside[p][:, t]
                elif t > 0:
                    x = x + inside[p][:, t - 1]
            if node.name in neurons:
                inside[node.name][:, t] = neurons[node.name].step(x)
            elif isinstance(node.op, g.Expand):
                inside[node.name][:, t] = x
            else:  # at t = 0 nothing has arrived, but a bias counts from the first step on
                inside[node.name][:, t] = apply(node.op, x).reshape(lead[0], *node.shape)
    return inside


# --- stateless ops: [M, *shape] in, [M, ...] out --------------------------------------------


@singledispatch
def apply(op: Op, x: FloatArray) -> FloatArray:
    """A stateless op on x [M, *input shape]; views return any shape with the right C order."""
    raise TypeError(f"no rule for {type(op).__name__}")


@apply.register(g.Output)
@apply.register(g.Sum)
@apply.register(g.Relay)
@apply.register(g.Reshape)
def _same(op: Op, x: FloatArray) -> FloatArray:
    return x


def _taps(
    x: FloatArray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    fill: float = 0.0,
) -> Iterator[tuple[int, int, FloatArray]]:
    """(a, b, the input [M, C, H', W'] that kernel entry (a, b) meets) for each kernel entry."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    out_h = window(x.shape[2], kh, sh, ph, dh)
    out_w = window(x.shape[3], kw, sw, pw, dw)
    if ph or pw:
        x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    for a in range(kh):
        for b in range(kw):
            top, left = a * dh, b * dw
            yield (
                a,
                b,
                x[
                    :,
                    :,
                    top : top + (out_h - 1) * sh + 1 : sh,
                    left : left + (out_w - 1) * sw + 1 : sw,
                ],
            )


@apply.register
def _conv2d(op: g.Conv2d, x: FloatArray) -> FloatArray:
    out, per_group, kh, kw = op.weight.shape
    taps = list(_taps(x, (kh, kw), op.stride, op.padding, op.dilation))
    many, channels, height, width = taps[0][2].shape
    columns = np.empty((many, channels, kh * kw, height, width))
    for i, (_, _, tap) in enumerate(taps):
        columns[:, :, i] = tap
    kernel = op.weight.reshape(op.groups, out // op.groups, per_group * kh * kw)
    y = kernel @ columns.reshape(many, op.groups, per_group * kh * kw, height * width)
    shaped: FloatArray = y.reshape(many, out, height, width) + op.offset
    return shaped


@apply.register
def _linear(op: g.Linear, x: FloatArray) -> FloatArray:
    y: FloatArray = x @ op.weight.T + op.bias
    return y


@apply.register
def _batch_norm(op: g.BatchNorm, x: FloatArray) -> FloatArray:
    shape = [1] * x.ndim
    shape[op.axis + 1] = -1
    mean, var, weight, bias = (a.reshape(shape) for a in (op.mean, op.var, op.weight, op.bias))
    y: FloatArray = (x - mean) / np.sqrt(var + op.eps) * weight + bias
    return y


@apply.register
def _scale(op: g.Scale, x: FloatArray) -> FloatArray:
    return op.factor * x


@apply.register
def _sum_pool(op: g.SumPool2d, x: FloatArray) -> FloatArray:
    total: FloatArray = sum(t for _, _, t in _taps(x, op.kernel, op.stride, op.padding))  # type: ignore[assignment]  # sum() starts from int 0
    return total


@apply.register
def _max_pool(op: g.MaxPool2d, x: FloatArray) -> FloatArray:
    taps = _taps(x, op.kernel, op.stride, op.padding, fill=-np.inf)
    best = next(taps)[2].copy()
    for _, _, tap in taps:
        np.maximum(best, tap, out=best)
    return best


@apply.register
def _reduce_sum(op: g.ReduceSum, x: FloatArray) -> FloatArray:
    y: FloatArray = x.sum(axis=tuple(a + 1 for a in op.axes))
    return y


@apply.register
def _permute(op: g.Permute, x: FloatArray) -> FloatArray:
    return x.transpose(0, *(i + 1 for i in op.order))


@apply.register
def _threshold(op: g.Threshold, x: FloatArray) -> FloatArray:
    return (x > op.threshold).astype(np.float64)


@apply.register
def _gather(op: g.Gather, x: FloatArray) -> FloatArray:
    return np.take(x, op.index, axis=op.axis + 1)


@apply.register
def _relu(op: g.ReLU, x: FloatArray) -> FloatArray:
    return np.maximum(x, 0.0)
