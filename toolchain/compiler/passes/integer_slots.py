"""Integer neurons as binary spikes: one population for each spike that they may send in a step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...ir.graph import IF, LIF, Graph, Node, Op, Scale, Slot, Sum
from ...ir.stairs import Level, stairs
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
            (negative spikes: x -> Sum -> Scale(-1) -> Slot(level j) -> Scale(-1) -> y)

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
                slots[node.name] = _read(new)
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
        found = stairs(op)
        assert found is not None, "it is an integer neuron"
        if self.relayed and not shared and len(found.up) + len(found.down) > 1:
            # The neuron's weights stand before it, so bits asked for its module are its bits too.
            current = Node(f"{node.name}.current", Sum(), node.inputs, node.shape, node.module)
            nodes.append(current)
            port = (nodes[0].name,)
        for j, (level, reached) in enumerate(found.up):
            slot = Slot(level, reached, node.name, j)
            nodes.append(replace(node, name=f"{node.name}.slot{j}", op=slot, inputs=(port,)))
        return [*nodes, *_below(node, port, found.down)]


def _below(node: Node, port: tuple[str, ...], levels: tuple[Level, ...]) -> list[Node]:
    """Slots of negative spikes: of -x, and read with a minus."""
    nodes: list[Node] = []
    for j, (level, reached) in enumerate(levels):
        name, turned = f"{node.name}.slot-{j + 1}", f"{node.name}.turned{j + 1}"
        nodes.append(replace(node, name=turned, op=Scale(-1.0), inputs=(port,), part=None))
        slot = Slot(level, reached, node.name, -1 - j)
        nodes.append(replace(node, name=name, op=slot, inputs=((turned,),)))
        nodes.append(
            replace(node, name=f"{name}.sent", op=Scale(-1.0), inputs=((name,),), part=None)
        )
    return nodes


def _read(made: list[Node]) -> tuple[str, ...]:
    """What the readers of the number read: slots, and those of negative spikes with a minus."""
    turned = {n.inputs[0][0]: n.name for n in made if n.name.endswith(".sent")}
    return tuple(turned.get(n.name, n.name) for n in made if isinstance(n.op, Slot))


def without_memory(graph: Graph) -> Graph:
    """Integer neurons of a sample of one step keep nothing, whatever their decay: they say so."""
    if graph.timesteps > 1:
        return graph
    return graph.with_nodes(replace(n, op=_alone(n.op)) for n in graph)


def _alone(op: Op) -> Op:
    if not isinstance(op, LIF | IF) or stairs(op) is None or op.start or op.unit:
        return op
    gain = op.gain if isinstance(op, IF) else op.decay * op.gain * op.syn * op.w_in
    leak = op.decay * op.leak if isinstance(op, LIF) else 0.0
    if leak or gain <= 0:
        return op
    alone = LIF(1.0, op.threshold / gain, subtract=True, fires=op.fires, most=op.most)
    return replace(alone, reached=op.reached)
