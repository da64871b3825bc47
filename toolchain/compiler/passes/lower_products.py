"""Products of spikes are coincidences; products of spikes and counts are Product neurons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...ground.errors import Problem, UnsupportedError
from ...ir.graph import Graph, Node, Product, Threshold
from ...ir.ranges import ranges
from .base import Condition
from .conditions import NO_BATCH_NORM, NO_MAX_POOL, NO_SPIKE_PRODUCT, is_coincidence


@dataclass(frozen=True)
class LowerProducts:
    """Before: Product(a, b), both binary

    After:  Threshold(1.5) fed by a and b: fires iff both do (AND), so attention needs no
    multiplier. A product of whole numbers stays: it becomes a population of Product neurons.
    """

    name: ClassVar[str] = "lower-products"
    requires: ClassVar[tuple[Condition, ...]] = (NO_BATCH_NORM, NO_MAX_POOL)
    ensures: ClassVar[tuple[Condition, ...]] = (NO_SPIKE_PRODUCT,)

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
            elif is_coincidence(node, classes):
                both = tuple(p for port in node.inputs for p in port)
                out.append(replace(node, op=Threshold(1.5), inputs=(both,)))
            else:
                out.append(node)
        if problems:
            raise UnsupportedError.of(problems)
        return graph.with_nodes(out)
