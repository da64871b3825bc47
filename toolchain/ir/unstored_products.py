"""Products whose values nobody needs: only their sum is, which is a matrix product."""

from __future__ import annotations

from . import graph as g
from .graph import FloatArray, Graph, Node, Op

SPIKING = (g.LIF, g.IF, g.Threshold, g.Slot)
"""Ops that send 0 or 1 (or a few spikes at once, see `graph.FIRING`)."""


def lazy_products(graph: Graph, keep: set[str]) -> set[str]:
    """Products whose value only one ReduceSum needs: contracted there, never stored.

    The AND of two spikes, as the compiler lowers attention's products, is a product as well.
    """
    found = set()
    for node in graph.of_type(g.Product, g.Threshold):
        consumers = graph.consumers[node.name]
        if node.name in keep or len(consumers) != 1 or not _is_product(graph, node):
            continue
        after = graph[consumers[0][0]]
        if isinstance(after.op, g.ReduceSum) and after.producers == (node.name,):
            found.add(node.name)
    return found


def summed_products(graph: Graph, keep: set[str]) -> dict[str, int]:
    """Products that only a TimeSum reads, through views: contracted over the steps at once.

    name -> how many steps are summed, T of the whole sample.
    """
    found: dict[str, int] = {}
    for node in graph.of_type(g.Product, g.Threshold):
        chain = [node]
        while len(graph.consumers[chain[-1].name]) == 1:
            chain.append(graph[graph.consumers[chain[-1].name][0][0]])
            if not isinstance(chain[-1].op, g.VIEWS):
                break
        alone = chain[-1].producers == (chain[-2].name,) if len(chain) > 1 else False
        kept = any(n.name in keep for n in chain[:-1])
        if alone and isinstance(chain[-1].op, g.TimeSum) and not kept and _is_product(graph, node):
            found[node.name] = chain[-1].op.span(graph.timesteps)
    return found


def _is_product(graph: Graph, node: Node) -> bool:
    """A Product, or a threshold that two spikes pass only together."""
    if isinstance(node.op, g.Product):
        return True
    both = isinstance(node.op, g.Threshold) and 1 <= node.op.threshold < 2
    return both and len(node.producers) == 2 and all(_spikes(graph, p) for p in node.producers)


def _spikes(graph: Graph, name: str) -> bool:
    """Whether a node passes on spikes of one neuron each, 0 or 1."""
    node = graph[name]
    while isinstance(node.op, g.VIEWS) and len(node.producers) == 1:
        node = graph[node.producers[0]]
    return is_binary(node.op)


def is_binary(op: Op) -> bool:
    """Whether an op sends 0 or 1."""
    return isinstance(op, SPIKING) and getattr(op, "fires", "once") in ("once", "twice")


def operands_of(values: dict[str, FloatArray], product: Node) -> tuple[FloatArray, FloatArray]:
    """What a product multiplies, or the two spikes of a coincidence, [K, T, *shape] each."""
    if isinstance(product.op, g.Product):
        a, b = (total_of(values, port) for port in product.inputs)
        return a, b
    a, b = (values[p] for p in product.producers)
    return a, b


def total_of(values: dict[str, FloatArray], producers: tuple[str, ...]) -> FloatArray:
    """What arrives at a port: the sum of what its producers send."""
    total = values[producers[0]]
    for p in producers[1:]:
        total = total + values[p]
    return total
