"""Executes a float `Graph` in numpy float64: what the model means, before any quantization.

Calibration records from it, and tests compare it with the source model. Stateless nodes run on
all samples and steps at once; only neurons with a state, and loops, step through time. A neuron's
state is rounded to float32 at every step, as its framework does, so that ties are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..ground.errors import InputError
from . import graph as g
from .check import loops
from .float_neurons import over_steps, run_loop
from .graph import FloatArray, Graph, Node
from .pair_products import contract
from .unstored_products import is_binary, lazy_products, operands_of, summed_products, total_of

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
    lazy, summed = lazy_products(graph, names), summed_products(graph, names)
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
    lazy = set() if keep is None else lazy_products(graph, names)
    summed = {} if keep is None else summed_products(graph, names)
    group = max(1, CHUNK_BYTES // (8 * graph.timesteps * _largest(graph, lazy | summed.keys())))
    parts: dict[str, list[NDArray[Any]]] = {name: [] for name in names}

    def store(node: Node, values: FloatArray) -> None:
        kind = spikes if is_binary(node.op) else np.float64
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
    if op.reduce == "max":
        most: FloatArray = steps.max(axis=1)
        return most
    if op.reduce == "weighted":
        weighed: FloatArray = np.einsum("kt...,t->k...", steps, np.array(op.weights))
        return weighed
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
    summed: Mapping[str, int],
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
            values |= run_loop(step, values, x.shape[:2])
        elif node.name in given:
            values[node.name] = np.asarray(given[node.name], np.float64)
        elif isinstance(node.op, g.Input):
            values[node.name] = x
        elif node.name in lazy:
            continue
        elif node.name in summed:
            a, b = operands_of(values, node)
            values[node.name] = _over_groups(a, b, summed[node.name])
        elif node.producers and node.producers[0] in lazy:
            product = graph[node.producers[0]]
            values[node.name] = _sum_of(node, product, values)
            _release(values, left, product)
        else:
            operands = [total_of(values, port) for port in node.inputs]
            values[node.name] = over_steps(node, operands, graph.timesteps)
        for member in step:
            if member.name in keep:
                store(member, values[member.name])
        for member in step:
            if not left[member.name]:
                values.pop(member.name, None)
            if not (member.producers and member.producers[0] in lazy):
                _release(values, left, member)


def _over_groups(a: FloatArray, b: FloatArray, group: int) -> FloatArray:
    """sum(a * b) over each group of steps [K, T/group, *shape], of operands [K, T, *shape]."""
    if group == a.shape[1]:
        return contract(a, b, (1,))[:, None]
    parts = [slice(t, t + group) for t in range(0, a.shape[1], group)]
    return np.stack([contract(a[:, part], b[:, part], (1,)) for part in parts], axis=1)


def _sum_of(node: Node, product: Node, values: dict[str, FloatArray]) -> FloatArray:
    """What `node` makes of a product that is not stored."""
    a, b = operands_of(values, product)
    axes = tuple(i + 2 for i in node.op.axes) if isinstance(node.op, g.ReduceSum) else ()
    return contract(a, b, axes)


def _release(values: dict[str, FloatArray], left: dict[str, int], node: Node) -> None:
    for p in node.producers:
        left[p] -= 1
        if left[p] == 0:
            values.pop(p, None)
