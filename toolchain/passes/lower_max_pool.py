"""Max-pool of spikes is an OR: a sum over the window and a threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sfx.toolchain.errors import Problem, UnsupportedError
from sfx.toolchain.ir.graph import Graph, MaxPool2d, Node, SumPool2d, Threshold
from sfx.toolchain.ir.ranges import ranges


@dataclass(frozen=True)
class LowerMaxPool:
    """Before: spikes -> MaxPool2d -> y

    After:  spikes -> SumPool2d -> Threshold(0.5) -> y   (exact for spikes: 1 iff any is 1)
    """

    def run(self, graph: Graph) -> Graph:
        """Raises UnsupportedError (SFX-E302) listing every max-pool whose operand is not binary."""
        classes = ranges(graph)
        out: list[Node] = []
        problems: list[Problem] = []
        for node in graph:
            if not isinstance(node.op, MaxPool2d):
                out.append(node)
                continue
            if not all(classes[p].binary for p in node.producers) or len(node.producers) != 1:
                problems.append(
                    Problem(
                        "SFX-E302",
                        node.module or node.name,
                        "max-pooling of values other than spikes is not supported yet",
                        "pool after the spiking neuron, where it is an OR",
                    )
                )
                continue
            total = f"{node.name}.sum"
            pool = SumPool2d(node.op.kernel, node.op.stride, node.op.padding)
            out.append(replace(node, name=total, op=pool))
            out.append(replace(node, op=Threshold(0.5), inputs=((total,),)))
        if problems:
            raise UnsupportedError.of(problems)
        return graph.with_nodes(out)
