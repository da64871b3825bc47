"""Max-pool: an OR where it sees spikes, a chain of pairwise maxima where it sees currents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...ir.graph import (
    Gather,
    Graph,
    MaxPool2d,
    Node,
    Relay,
    ReLU,
    Scale,
    Shape,
    Sum,
    SumPool2d,
    Threshold,
)
from ...ir.ranges import ranges
from .base import Condition
from .conditions import NO_BATCH_NORM, NO_MAX_POOL


@dataclass(frozen=True)
class LowerMaxPool:
    """Before: spikes -> MaxPool2d -> y

    After:  spikes -> SumPool2d -> Threshold(0.5) -> y   (exact for spikes: 1 iff any is 1)

    Before: currents x -> MaxPool2d -> y

    After:  per axis, over the window's elements e0, e1, ...: m = e0; m = e_i + ReLU(m - e_i)
            (exact: max(a, b) = b + relu(a - b)). Padding is minus infinity: an element outside
            is replaced by its nearest neighbour, which is in the window as well.
    """

    name: ClassVar[str] = "lower-max-pool"
    requires: ClassVar[tuple[Condition, ...]] = (NO_BATCH_NORM,)
    ensures: ClassVar[tuple[Condition, ...]] = (NO_MAX_POOL,)

    def run(self, graph: Graph) -> Graph:
        """The graph without MaxPool2d."""
        classes = ranges(graph)
        out: list[Node] = []
        for node in graph:
            if not isinstance(node.op, MaxPool2d):
                out.append(node)
            elif len(node.producers) == 1 and classes[node.producers[0]].binary:
                out.extend(_any(node, node.op))
            else:
                out.extend(_maximum(graph, node, node.op))
        return graph.with_nodes(out)


def _any(node: Node, pool: MaxPool2d) -> list[Node]:
    total = f"{node.name}.sum"
    window = SumPool2d(pool.kernel, pool.stride, pool.padding)
    return [
        replace(node, name=total, op=window),
        replace(node, op=Threshold(0.5), inputs=((total,),)),
    ]


def _maximum(graph: Graph, node: Node, pool: MaxPool2d) -> list[Node]:
    """The window is a rectangle, so the maximum over it is one over columns, then one over rows."""
    shape = graph[node.producers[0]].shape
    source = Node(f"{node.name}.in", Sum(), node.inputs, shape, node.module)
    nodes = [source]
    for axis, name in ((2, f"{node.name}.w"), (1, f"{node.name}.h")):
        nodes += _along(nodes[-1], axis, pool, name)
    return [*nodes[:-1], *_named(nodes[-1], node)]


def _named(last: Node, node: Node) -> list[Node]:
    """The last value under the pool's own name, so that its readers find it."""
    if last.name == f"{node.name}.in":  # a 1x1 window: nothing to compare
        return [last, Node(node.name, Sum(), ((last.name,),), node.shape, node.module)]
    return [replace(last, name=node.name)]


def _along(x: Node, axis: int, pool: MaxPool2d, name: str) -> list[Node]:
    """The running maximum over the window's positions on one axis."""
    kernel, stride, padding = (v[axis - 1] for v in (pool.kernel, pool.stride, pool.padding))
    length = x.shape[axis]
    count = (length + 2 * padding - kernel) // stride + 1
    shape: Shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    start = np.arange(count) * stride - padding
    inside = np.maximum(start, 0), np.minimum(start + kernel, length) - 1

    def element(i: int) -> Node:
        index = np.clip(start + i, *inside)
        op = Gather(axis, tuple(int(k) for k in index))
        return Node(f"{name}{i}", op, ((x.name,),), shape, x.module)

    nodes = [element(0)]
    if kernel == 1:
        return [*nodes, Node(f"{name}.max", Relay(), ((nodes[0].name,),), shape, x.module)]
    best = nodes[0].name
    for i in range(1, kernel):
        e = element(i)
        minus = Node(f"{name}{i}.minus", Scale(-1.0), ((e.name,),), shape)
        gap = Node(f"{name}{i}.relu", ReLU(), ((best, minus.name),), shape, x.module)
        top = Node(f"{name}{i}.max", Relay(), ((e.name, gap.name),), shape, x.module)
        nodes += [e, minus, gap, top]
        best = top.name
    return nodes
