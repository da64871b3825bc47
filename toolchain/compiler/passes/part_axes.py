"""Split what is split anyway: neurons and layers whose parts are read, or made, apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import ClassVar

from ...ir.graph import (
    Conv2d,
    Gather,
    Graph,
    Linear,
    MaxPool2d,
    Node,
    Op,
    Part,
    Permute,
    ReduceSum,
    Reshape,
    Shape,
    Sum,
    SumPool2d,
    unused,
)
from ...ir.ranges import side_by_side
from .base import Condition, rewire
from .gathers import (
    POINTWISE,
    across,
    chosen,
    groups_of,
    needed,
    of_groups,
    outputs,
    with_pads,
    zeros_around,
)

CHANNELWISE = (SumPool2d, MaxPool2d)
"""Ops on (C, H, W) that compute each channel from its own."""


@dataclass(frozen=True)
class PartAxes:
    """Before: x -> Conv2d(W) -> LIF -> {Gather(first half) -> a, Gather(second half) -> b}

    After:  x -> Conv2d(first half of W) -> LIF -> a,  x -> Conv2d(second half of W) -> LIF -> b

    Before: {a -> Gather(0..n, -1...), b -> Gather(-1..., 0..m)} -> BatchNorm -> LIF -> Conv2d(W)
    After:  {a -> BatchNorm -> LIF -> Gather, b -> BatchNorm -> LIF -> Gather} -> Conv2d(W)

    A split is taken as far up as it goes, a concatenation as far down, so that neither needs a
    population of its own. Whatever is not taken apart stays a Gather. Exact: the same sums. The
    parts of a neuron know what they are parts of.
    """

    name: ClassVar[str] = "part-axes"
    requires: ClassVar[tuple[Condition, ...]] = ()
    ensures: ClassVar[tuple[Condition, ...]] = (
        Condition("no layer read in parts, no parts to a layer", lambda graph: _is_done(graph)),
    )

    def run(self, graph: Graph) -> Graph:
        """The graph with its splits and concatenations taken as far as they go."""
        if not graph.of_type(Gather):
            return graph
        whole: set[str] = set()
        graph = _taken_up(graph)
        while (name := _next_neuron(graph, whole)) is not None:
            made = _up(graph, graph[name])
            parted = graph if made is None else _taken_up(made)
            if made is None or _behind_weights(parted) > _behind_weights(graph):
                whole.add(name)
            else:
                graph = parted
        while (changed := _first_down(graph)) is not None:
            graph = changed
        return graph


def _is_done(graph: Graph) -> bool:
    return _taken_up(graph) is graph and _first_down(graph) is None


# --- splits, upwards ------------------------------------------------------------------------


def _taken_up(graph: Graph) -> Graph:
    """Every split moved up to the next neuron."""
    while True:
        graph = _padded_before(graph)
        found = (n for n in reversed(graph.nodes) if not n.op.neuron and _parted(graph, n))
        made = next((m for n in found if (m := _up(graph, n)) is not None), None)
        if made is None:
            return graph
        graph = made


def _padded_before(graph: Graph) -> Graph:
    """Zeros around what a 1x1 convolution without bias makes are zeros around what it reads."""
    for node in graph.of_type(Gather):
        gather = node.op
        assert isinstance(gather, Gather)
        before = graph[node.producers[0]]
        op = before.op
        if len(node.producers) > 1 or len(graph.consumers[before.name]) > 1 or gather.axis == 0:
            continue
        edges = zeros_around(gather, before.shape[gather.axis])
        plain = isinstance(op, Conv2d) and op.weight.shape[2:] == (1, 1) and op.stride == (1, 1)
        if edges is None or not plain or not isinstance(op, Conv2d) or op.bias.any():
            continue
        padding = op.padding[gather.axis - 1]
        folded = with_pads(op, gather.axis, padding + edges[0], padding + edges[1])
        if folded is not None:
            moved = replace(before, op=folded, shape=node.shape)
            kept = [moved if n.name == before.name else n for n in graph if n.name != node.name]
            return _padded_before(graph.with_nodes(rewire(kept, {node.name: before.name})))
    return graph


def _next_neuron(graph: Graph, whole: set[str]) -> str | None:
    """A neuron that is read in parts."""
    return next((n.name for n in reversed(graph.nodes)
                 if isinstance(n.op, POINTWISE) and n.op.neuron and n.name not in whole
                 and _parted(graph, n)), None)  # fmt: skip


def _behind_weights(graph: Graph) -> int:
    """Gathers of what a layer makes: values between weights, which need relays of real numbers."""
    return sum(_weighted(graph, p) for n in graph.of_type(Gather) for p in n.producers)


def _weighted(graph: Graph, name: str) -> bool:
    node = graph[name]
    if node.op.neuron or (isinstance(node.op, Sum) and len(graph.consumers[name]) > 1):
        return False
    if isinstance(node.op, Conv2d | Linear):
        return True
    return any(_weighted(graph, p) for p in node.producers)


def _parted(graph: Graph, node: Node) -> bool:
    """Whether all that reads `node` takes elements of its own."""
    if len(node.inputs) != 1 or node.name in node.producers:
        return False
    readers = [graph[name] for name, _ in graph.consumers[node.name]]
    return bool(readers) and _apart(readers, node)


def _apart(readers: Sequence[Node], node: Node) -> bool:
    """Whether each reader takes elements of its own, and each of them once."""
    gathers = [r.op for r in readers if isinstance(r.op, Gather)]
    if len(gathers) < len(readers) or len({op.axis for op in gathers}) > 1:
        return False
    if any(r.producers != (node.name,) for r in readers):
        return False
    sets = [set(op.index) for op in gathers]
    once = all(len(s) == len(op.index) and -1 not in s for s, op in zip(sets, gathers, strict=True))
    return once and all(a.isdisjoint(b) for a, b in combinations(sets, 2))


def _up(graph: Graph, node: Node) -> Graph | None:
    """`node` in parts, one for each reader; None where it cannot be parted so."""
    taken = {n.name for n in graph}
    readers = [graph[name] for name, _ in graph.consumers[node.name]]
    new: list[Node] = []
    renamed: dict[str, str] = {}
    for i, reader in enumerate(readers):
        name = unused(f"{node.name}.part{i}", taken)
        made = _part(graph, node, replace(reader, name=name), taken)
        if made is None:
            return None
        new += made
        renamed[reader.name] = name
    gone = {node.name, *renamed}
    kept = [n for n in graph if n.name not in gone] + new
    return graph.with_nodes(rewire(kept, renamed))


def _part(graph: Graph, node: Node, reader: Node, taken: set[str]) -> list[Node] | None:
    """The part of `node` that `reader` takes, under the reader's name, and what it reads."""
    op, gather = node.op, reader.op
    assert isinstance(gather, Gather)
    axis, index = gather.axis, gather.index
    shape = graph[node.producers[0]].shape
    last = replace(node, name=reader.name, shape=reader.shape)
    if isinstance(op, Linear) or (isinstance(op, Conv2d) and op.groups == 1 and axis == 0):
        return [replace(last, op=outputs(op, index))] if op.bias.ndim == 1 else None
    if isinstance(op, Conv2d) and axis == 0 and op.bias.ndim == 1:
        groups = groups_of(op, index, len(op.weight) // op.groups)
        if groups is None:
            return None
        per_group = op.weight.shape[1]
        own = tuple(g * per_group + k for g in groups for k in range(per_group))
        return _reading(node, replace(last, op=of_groups(op, groups)), Gather(0, own), shape, taken)
    if isinstance(op, POINTWISE):
        made = replace(_noted(last, node, gather), op=chosen(op, axis, index))
        return _reading(node, made, gather, shape, taken)
    moved = _through_view(op, gather, node.shape, shape)
    return None if moved is None else _reading(node, last, moved, shape, taken)


def _through_view(op: Op, gather: Gather, shape: Shape, before: Shape) -> Gather | None:
    """The choice before a view [before -> shape] that `gather` is behind it."""
    if isinstance(op, Permute):
        return Gather(op.order[gather.axis], gather.index)
    return across(gather, shape, before, after=False) if isinstance(op, Reshape) else None


def _reading(node: Node, last: Node, moved: Gather, shape: Shape, taken: set[str]) -> list[Node]:
    """`last`, which reads what `moved` takes of each producer of `node` [shape]."""
    if moved.index == tuple(range(shape[moved.axis])):
        return [last]
    width = (*shape[: moved.axis], len(moved.index), *shape[moved.axis + 1 :])
    made = [
        Node(unused(f"{last.name}.of", taken), moved, ((p,),), width, node.module)
        for p in node.producers
    ]
    return [*made, replace(last, inputs=(tuple(m.name for m in made),))]


def _noted(last: Node, node: Node, gather: Gather) -> Node:
    """`last`, which knows what part of a neuron of the model it is."""
    if not node.op.neuron:
        return last
    before = node.part or Part(node.name)
    return replace(
        last, part=replace(before, choices=(*before.choices, (gather.axis, gather.index)))
    )


# --- concatenations, downwards --------------------------------------------------------------


def _first_down(graph: Graph) -> Graph | None:
    for node in graph:
        if len(node.inputs) != 1 or isinstance(node.op, Gather):
            continue
        parts = [graph[p] for p in _joined(graph, node)]
        if parts and all(_plain(graph, p) for p in parts):
            made = _down(graph, node, parts)
            if made is not None:
                return made
    return None


def _joined(graph: Graph, node: Node) -> tuple[str, ...]:
    """The parts of a concatenation that `node` reads, and nothing else; else none."""
    if isinstance(node.op, Sum):
        return ()
    names = node.producers
    if len(names) == 1 and isinstance(graph[names[0]].op, Sum):
        names = graph[names[0]].producers
    ops = [graph[n].op for n in names]
    return names if side_by_side(ops) and _covered(ops) else ()


def _covered(ops: Sequence[object]) -> bool:
    filled = [i for op in ops if isinstance(op, Gather) for i, n in enumerate(op.index) if n >= 0]
    first = ops[0]
    return isinstance(first, Gather) and len(filled) == len(first.index)


def _plain(graph: Graph, part: Node) -> bool:
    """Whether it places all that it reads, in order."""
    assert isinstance(part.op, Gather)
    placed = [i for i in part.op.index if i >= 0]
    return placed == list(range(graph[part.producers[0]].shape[part.op.axis]))


def _down(graph: Graph, node: Node, parts: Sequence[Node]) -> Graph | None:
    """`node` for each part alone, and the concatenation of that."""
    taken = {n.name for n in graph}
    new: list[Node] = []
    ends: list[str] = []
    for i, part in enumerate(parts):
        made = _on_part(graph, node, part, (i, taken))
        if made is None:
            return None
        new += made
        ends.append(made[-1].name)
    whole = Node(node.name, Sum(), (tuple(ends),), node.shape, node.module)
    return needed(graph.with_nodes([*(n for n in graph if n.name != node.name), *new, whole]))


def _on_part(graph: Graph, node: Node, part: Node, at: tuple[int, set[str]]) -> list[Node] | None:
    """What `node` makes of one part, and where that belongs in the whole."""
    number, taken = at
    op, gather = node.op, part.op
    assert isinstance(gather, Gather)
    axis = gather.axis
    places = tuple(i for i, n in enumerate(gather.index) if n >= 0)
    name = unused(f"{node.name}.part{number}", taken)
    last = Node(name, op, part.inputs, (), node.module, node.part)
    moved = gather
    if isinstance(op, Conv2d) and axis == 0 and op.bias.ndim == 1:
        groups = groups_of(op, places, op.weight.shape[1])
        if groups is None:
            return None
        size = len(op.weight) // op.groups
        own = [g * size + k for g in groups for k in range(size)]
        op, moved = of_groups(op, groups), _placing(own, node.shape[0])
    elif isinstance(op, POINTWISE):
        op = chosen(op, axis, places)
        last = _noted(last, node, Gather(axis, places))
    elif isinstance(op, CHANNELWISE) and axis == 0:
        pass
    elif isinstance(op, Permute):
        moved = Gather(op.order.index(axis), gather.index)
    elif isinstance(op, ReduceSum) and axis not in op.axes:
        moved = Gather(axis - sum(a < axis for a in op.axes), gather.index)
    elif isinstance(op, Reshape):
        found = across(gather, part.shape, node.shape, after=True)
        if found is None:
            return None
        moved = found
    else:
        return None
    own_shape = list(node.shape)
    own_shape[moved.axis] = sum(i >= 0 for i in moved.index)
    end = Node(unused(f"{name}.at", taken), moved, ((name,),), node.shape, node.module)
    return [replace(last, op=op, shape=tuple(own_shape)), end]


def _placing(places: Sequence[int], length: int) -> Gather:
    """The Gather that puts its elements at `places` of an axis 0 of `length`."""
    at = {place: i for i, place in enumerate(places)}
    return Gather(0, tuple(at.get(i, -1) for i in range(length)))
