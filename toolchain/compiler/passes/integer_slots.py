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
                new, slots[node.name] = self._slots(graph, node, op)
                made += new
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

    def _slots(self, graph: Graph, node: Node, op: LIF) -> tuple[list[Node], tuple[str, ...]]:
        """What takes the neuron's place, and what readers of the number read."""
        (port,) = node.inputs
        shared = len(port) == 1 and (isinstance(graph[port[0]].op, Sum) or graph[port[0]].op.neuron)
        made: list[Node] = []
        found = stairs(op)
        assert found is not None, "it is an integer neuron"
        if self.relayed and not shared and len(found.up) + len(found.down) > 1:
            # The neuron's weights stand before it, so bits asked for its module are its bits too.
            current = Node(f"{node.name}.current", Sum(), node.inputs, node.shape, node.module)
            made.append(current)
            port = (current.name,)
        above = [
            replace(
                node,
                name=f"{node.name}.slot{j}",
                op=Slot(level, reached, node.name, j),
                inputs=(port,),
            )
            for j, (level, reached) in enumerate(found.up)
        ]
        below = [_below(node, port, j, level) for j, level in enumerate(found.down)]
        read = (*(n.name for n in above), *(sent.name for _, _, sent in below))
        return [*made, *above, *(n for three in below for n in three)], read


def _below(node: Node, port: tuple[str, ...], j: int, level: Level) -> tuple[Node, Node, Node]:
    """A slot of negative spikes: it receives -x, and what it sends is read with a minus."""
    name = f"{node.name}.slot-{j + 1}"
    turned = replace(
        node, name=f"{node.name}.turned{j + 1}", op=Scale(-1.0), inputs=(port,), part=None
    )
    slot = replace(node, name=name, op=Slot(*level, node.name, -1 - j), inputs=((turned.name,),))
    sent = replace(node, name=f"{name}.sent", op=Scale(-1.0), inputs=((name,),), part=None)
    return turned, slot, sent


def left_graded(form: Graph, asked: str) -> tuple[str, ...]:
    """Integer neurons of a neuron form that send numbers though slots were `asked` for: they keep
    a membrane from step to step, and slots are for neurons without one.
    """
    return tuple(n.name for n in form if asked == "slots" and stairs(n.op) is not None)


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
