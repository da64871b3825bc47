"""Move scalar factors behind products and sums, so that what is multiplied are whole numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...ir.graph import (
    VIEWS,
    Graph,
    Integrator,
    Node,
    Product,
    ReduceSum,
    Scale,
    TimeSum,
)
from .base import Condition
from .conditions import NO_BATCH_NORM

PASSES_SCALE = (*VIEWS, ReduceSum, Product, Integrator, TimeSum)
"""Ops that commute with a factor on one of their operands."""

SCALES_BEHIND = Condition(
    "every scale behind what it commutes with", lambda graph: _next(graph) is None
)


@dataclass(frozen=True)
class SinkScales:
    """Before: counts -> Scale(s) -> Expand -> Product(., q) -> ReduceSum -> LIF

    After:  counts -> Expand -> Product(., q) -> ReduceSum -> Scale(s) -> LIF

    (q k^T * s) v = (q k^T) v * s: the order in which a model scales its attention does not matter,
    but a product neuron multiplies whole numbers only.
    """

    name: ClassVar[str] = "sink-scales"
    requires: ClassVar[tuple[Condition, ...]] = (NO_BATCH_NORM,)
    ensures: ClassVar[tuple[Condition, ...]] = (SCALES_BEHIND,)

    def run(self, graph: Graph) -> Graph:
        """The graph with every Scale as far downstream as it commutes."""
        while (scale := _next(graph)) is not None:
            graph = _step(graph, scale)
        return graph


def _next(graph: Graph) -> Node | None:
    """A Scale all of whose readers commute with it and read nothing else on that port."""
    for node in graph.of_type(Scale):
        readers = graph.consumers[node.name]
        if readers and all(
            isinstance(graph[name].op, PASSES_SCALE) and len(graph[name].inputs[port]) == 1
            for name, port in readers
        ):
            return node
    return None


def _step(graph: Graph, scale: Node) -> Graph:
    """`scale` exchanged with each of its readers; a reader on both ports gets both factors."""
    assert isinstance(scale.op, Scale)
    readers: dict[str, int] = {}
    for name, _ in graph.consumers[scale.name]:
        readers[name] = readers.get(name, 0) + 1
    renamed = {name: f"{name}.{scale.name}" for name in readers}
    nodes: list[Node] = []
    for node in graph:
        if node.name == scale.name:
            continue
        inputs = tuple(
            tuple(q for p in port for q in _source(p, scale, renamed, node.name in readers))
            for port in node.inputs
        )
        nodes.append(replace(node, inputs=inputs))
        if node.name in readers:
            factor = Scale(scale.op.factor ** readers[node.name])
            nodes.append(Node(renamed[node.name], factor, ((node.name,),), node.shape))
    return graph.with_nodes(nodes)


def _source(name: str, scale: Node, renamed: dict[str, str], reader: bool) -> tuple[str, ...]:
    """What takes the place of operand `name`."""
    if name == scale.name and reader:
        return scale.inputs[0]
    return (renamed.get(name, name),)
