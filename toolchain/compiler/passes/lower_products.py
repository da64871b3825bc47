"""Products of spikes are coincidences; products of spikes and counts are Product neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...ground.errors import Problem, UnsupportedError
from ...ir.graph import Graph, Node, Product, Threshold
from ...ir.ranges import ranges


@dataclass(frozen=True)
class LowerProducts:
    """Before: Product(a, b), both binary

    After:  Threshold(1.5) fed by a and b: fires iff both do (AND), so attention needs no
    multiplier. A product of whole numbers stays: it becomes a population of Product neurons.
    """

    def run(self, graph: Graph) -> Graph:
        """Raises UnsupportedError (SFX-E303) listing every product of real values."""
        classes = ranges(graph)
        out: list[Node] = []
        problems: list[Problem] = []
        for node in graph:
            if not isinstance(node.op, Product):
                out.append(node)
                continue
            operands = [[classes[p] for p in port] for port in node.inputs]
            if not all(r.whole for port in operands for r in port):
                problems.append(
                    Problem(
                        "SFX-E303",
                        node.module or node.name,
                        "a product of two streams needs whole numbers (spikes or their sums)",
                        "place a spiking neuron before the product, or move the scale behind it",
                    )
                )
            elif all(len(port) == 1 and port[0].binary for port in operands):
                both = tuple(p for port in node.inputs for p in port)
                out.append(replace(node, op=Threshold(1.5), inputs=(both,)))
            else:
                out.append(node)
        if problems:
            raise UnsupportedError.of(problems)
        return graph.with_nodes(out)
