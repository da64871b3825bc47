"""Integer neurons as binary spikes: one population for each spike that they may send in a step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...ir.graph import IF, LIF, Graph, Node, Op, Slot, Sum
from .base import Condition
from .conditions import NO_BATCH_NORM, NO_MAX_POOL, NO_SPIKE_PRODUCT

NO_INTEGER_NEURON = Condition(
    "no integer neuron without a memory",
    lambda graph: not any(isinstance(n.op, LIF) and n.op.keeps_nothing for n in graph),
)


@dataclass(frozen=True)
class IntegerSlots:
    """Before: x -> LIF(round, D, without memory) -> y

    After:  x -> Sum -> D times Slot(level j) -> y, which reads all of them: their sum is the number

    The Sum is read D times, so it becomes a relay of the currents, and weights are stored once.
    Where spikes carry no payload it is left out, and every slot has weights of its own.

    relayed  whether a population may send currents on
    """

    name: ClassVar[str] = "integer-slots"
    requires: ClassVar[tuple[Condition, ...]] = (NO_BATCH_NORM, NO_MAX_POOL, NO_SPIKE_PRODUCT)
    ensures: ClassVar[tuple[Condition, ...]] = (NO_INTEGER_NEURON,)

    relayed: bool = True

    def run(self, graph: Graph) -> Graph:
        """The graph with its integer neurons in slots; those that remember stay."""
        slots: dict[str, tuple[str, ...]] = {}
        made: list[Node] = []
        for node in graph:
            op = node.op
            if isinstance(op, LIF) and op.keeps_nothing:
                new = self._slots(graph, node, op)
                made += new
                slots[node.name] = tuple(n.name for n in new if isinstance(n.op, Slot))
            else:
                made.append(node)
        return graph.with_nodes(
            replace(
                n,
                inputs=tuple(
                    tuple(q for p in port for q in slots.get(p, (p,))) for port in n.inputs
                ),
            )
            for n in made
        )

    def _slots(self, graph: Graph, node: Node, op: LIF) -> list[Node]:
        (port,) = node.inputs
        shared = len(port) == 1 and (isinstance(graph[port[0]].op, Sum) or graph[port[0]].op.neuron)
        nodes: list[Node] = []
        if self.relayed and not shared and op.most > 1:
            current = Node(f"{node.name}.current", Sum(), node.inputs, node.shape, node.module)
            nodes.append(current)
            port = (nodes[0].name,)
        for j, (level, reached) in enumerate(op.levels):
            slot = Slot(level, reached, node.name, j)
            nodes.append(replace(node, name=f"{node.name}.slot{j}", op=slot, inputs=(port,)))
        return nodes


def without_memory(graph: Graph) -> Graph:
    """Integer neurons of a sample of one step keep nothing, whatever their decay: they say so."""
    if graph.timesteps > 1:
        return graph
    return graph.with_nodes(replace(n, op=_alone(n.op)) for n in graph)


def _alone(op: Op) -> Op:
    if not isinstance(op, LIF | IF) or op.fires != "round" or op.start:
        return op
    gain = op.gain if isinstance(op, IF) else op.decay * op.gain * op.syn * op.w_in
    leak = op.decay * op.leak if isinstance(op, LIF) else 0.0
    if leak or gain <= 0:
        return op
    return LIF(1.0, op.threshold / gain, subtract=True, fires="round", most=op.most)
