"""What passes ensure of a graph and later ones require."""

from __future__ import annotations

from ...ir.graph import BatchNorm, Graph, MaxPool2d, Node, Product, Sum
from ...ir.ranges import Range, ranges
from .base import Condition

NO_BATCH_NORM = Condition("no batch norm", lambda graph: not graph.of_type(BatchNorm))
NO_MAX_POOL = Condition("no max-pool", lambda graph: not graph.of_type(MaxPool2d))
NO_SHARED_SUM = Condition(
    "no sum that is read more than once",
    lambda graph: all(len(graph.consumers[n.name]) < 2 for n in graph.of_type(Sum)),
)


def _counts_only(graph: Graph) -> bool:
    products = graph.of_type(Product)
    found = ranges(graph) if products else {}
    return not any(is_coincidence(node, found) for node in products)


def is_coincidence(node: Node, found: dict[str, Range]) -> bool:
    """Whether a product is one of two single spike trains: 1 where both are."""
    return all(len(port) == 1 and found[port[0]].binary for port in node.inputs)


NO_SPIKE_PRODUCT = Condition("no product of two spike trains", _counts_only)
