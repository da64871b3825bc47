"""Place graded relays where a value needs a population of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

from ...ir.graph import (
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
    TimeMap,
    unused,
)
from .base import Condition
from .conditions import NO_BATCH_NORM, NO_MAX_POOL, NO_SHARED_SUM, NO_SPIKE_PRODUCT

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

    name: ClassVar[str] = "place-relays"
    requires: ClassVar[tuple[Condition, ...]] = (NO_BATCH_NORM, NO_MAX_POOL, NO_SPIKE_PRODUCT)
    ensures: ClassVar[tuple[Condition, ...]] = (NO_SHARED_SUM,)

    def run(self, graph: Graph) -> Graph:
        """The graph with its relays, in time linear in its edges."""
        walk = _Walk(graph)
        for node in graph:
            walk.visit(node)
        return walk.result()


class Path(NamedTuple):
    """What the way from the last neurons to a value has passed so far."""

    weighted: bool = False
    reduced: bool = False
    expanded: bool = False

    def __or__(self, other: tuple[bool, ...]) -> Path:
        """What either of two ways has passed."""
        return Path(*(a or b for a, b in zip(self, other, strict=True)))


START = Path()
"""A neuron's own value."""


class _Walk:
    """One visit of every node, producers first; a relay makes the way to its readers short again.

    paths    name -> what leads to it, of the nodes visited so far
    relayed  name -> the relay that its readers read instead
    sums     names of the Sums that become relays themselves
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.names = {n.name for n in graph}
        self.paths: dict[str, Path] = {}
        self.relayed: dict[str, Node] = {}
        self.sums: set[str] = set()

    def visit(self, node: Node) -> None:
        """Place the relays that `node` needs before it, and note the way to it."""
        while (spot := self._spot(node)) is not None:
            self._relay_after(spot)
        if isinstance(node.op, Sum) and len(self.graph.consumers[node.name]) > 1:
            self.sums.add(node.name)
        self.paths[node.name] = self._path(node)

    def result(self) -> Graph:
        """The graph with every relay in its place."""
        nodes: list[Node] = []
        for node in self.graph:
            op = Relay() if node.name in self.sums else node.op
            read = tuple(tuple(self._read(p) for p in port) for port in node.inputs)
            if isinstance(op, TimeMap):  # it reads one population, whose sums it multiplies
                current = Node(
                    unused(f"{node.name}.current", self.names), Relay(), read, node.shape
                )
                nodes.append(current)
                read = ((current.name,),)
            nodes.append(replace(node, op=op, inputs=read))
        return self.graph.with_nodes([*nodes, *self.relayed.values()])

    def _read(self, producer: str) -> str:
        relay = self.relayed.get(producer)
        return producer if relay is None else relay.name

    def _before(self, producer: str) -> Path:
        """The way to what a reader of `producer` reads; an edge that closes a loop starts anew."""
        return START if producer in self.relayed else self.paths.get(producer, START)

    def _arriving(self, node: Node) -> Path:
        found = START
        for p in node.producers:
            found = found | self._before(p)
        return found

    def _path(self, node: Node) -> Path:
        op = node.op
        if op.neuron or node.name in self.sums:
            return START
        passed = (isinstance(op, WEIGHTED), isinstance(op, ReduceSum), isinstance(op, Expand))
        return self._arriving(node) | passed

    def _spot(self, node: Node) -> Node | None:
        """The node before `node` whose value needs a relay, or None."""
        if node.op.neuron:
            return None
        before = self._arriving(node)
        second_map = isinstance(node.op, WEIGHTED) and any(before)
        second_map |= isinstance(node.op, ReduceSum) and before.weighted
        second_map |= isinstance(node.op, Expand) and (before.weighted or before.reduced)
        if not second_map:
            return None
        return self._before_scales(next(p for p in node.producers if any(self._before(p))))

    def _before_scales(self, name: str) -> Node:
        """The next weights absorb a Scale, and before it the value may be a whole number."""
        node = self.graph[name]
        while isinstance(node.op, Scale) and len(node.producers) == 1:
            node = self.graph[node.producers[0]]
        return node

    def _relay_after(self, spot: Node) -> None:
        """A relay of `spot`, in its place if it is a Sum; the way behind it is shorter now."""
        if isinstance(spot.op, Sum):
            self.sums.add(spot.name)
            self.paths[spot.name] = START
        else:
            name = unused(f"{spot.name}.relay", self.names)
            self.relayed[spot.name] = Node(name, Relay(), ((spot.name,),), spot.shape)
        todo = [spot.name]
        while todo:
            for reader, _ in self.graph.consumers[todo.pop()]:
                after = self._path(self.graph[reader])
                if reader in self.paths and after != self.paths[reader]:
                    self.paths[reader] = after
                    todo.append(reader)
