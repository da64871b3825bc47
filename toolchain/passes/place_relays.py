"""Place graded relays where a value needs a population of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sfx.toolchain.ir.graph import (
    Conv2d,
    Expand,
    Gather,
    Graph,
    Linear,
    Node,
    ReduceSum,
    Relay,
    Scale,
    Sum,
    SumPool2d,
)
from sfx.toolchain.passes.base import rewire

WEIGHTED = (Conv2d, Linear, SumPool2d, Gather)


@dataclass(frozen=True)
class PlaceRelays:
    """Make every path from neuron to neuron one projection.

    Before: a -> Sum -> {q, k, v, next Sum};      spikes -> ReduceSum -> Scale -> Linear -> ...
    After:  a -> Relay -> {q, k, v, next Relay};  spikes -> ReduceSum -> Relay -> Scale -> Linear

    A residual stream that is read more than once becomes a relay (one identity synapse per
    producer instead of a copy of every reader's weights); so does a value between two maps that
    no single projection expresses (weights after weights, weights after a sum over axes, a
    broadcast after such a sum). A relay of real values (membrane residual) gets one integer scale
    from the quantizer. A Sum read once stays fan-in.
    """

    def run(self, graph: Graph) -> Graph:
        """The graph with its relays; repeats until no value needs one."""
        while (spot := _next_spot(graph)) is not None:
            graph = _relay_after(graph, spot)
        return graph


def _next_spot(graph: Graph) -> Node | None:
    """The first node whose value needs a relay, or None."""
    weighted: dict[str, bool] = {}
    reduced: dict[str, bool] = {}
    expanded: dict[str, bool] = {}
    for node in graph:
        op, operands = node.op, node.producers
        if op.neuron:
            weighted[node.name] = reduced[node.name] = expanded[node.name] = False
            continue
        w = any(weighted.get(p, False) for p in operands)
        r = any(reduced.get(p, False) for p in operands)
        e = any(expanded.get(p, False) for p in operands)
        if isinstance(op, Sum) and len(graph.consumers[node.name]) > 1:
            return node
        second_map = isinstance(op, WEIGHTED) and (w or r or e)
        second_map |= isinstance(op, ReduceSum) and w
        second_map |= isinstance(op, Expand) and (w or r)
        if second_map:
            for p in operands:
                if weighted[p] or reduced[p] or expanded[p]:
                    return _before_scales(graph, graph[p])
        weighted[node.name] = w or isinstance(op, WEIGHTED)
        reduced[node.name] = r or isinstance(op, ReduceSum)
        expanded[node.name] = e or isinstance(op, Expand)
    return None


def _before_scales(graph: Graph, node: Node) -> Node:
    """The next weights absorb a Scale, and before it the value may be a whole number."""
    while isinstance(node.op, Scale) and len(node.producers) == 1:
        node = graph[node.producers[0]]
    return node


def _relay_after(graph: Graph, spot: Node) -> Graph:
    if isinstance(spot.op, Sum):
        return graph.with_nodes(replace(n, op=Relay()) if n.name == spot.name else n for n in graph)
    relay = Node(f"{spot.name}.relay", Relay(), ((spot.name,),), spot.shape)
    nodes = [n if n.name == spot.name else rewire([n], {spot.name: relay.name})[0] for n in graph]
    return graph.with_nodes([*nodes, relay])
