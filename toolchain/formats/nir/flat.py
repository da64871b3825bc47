"""A NIR graph as one level of nodes whose shapes have neither batch nor time."""

from __future__ import annotations

from collections.abc import Mapping

import nir
import numpy as np

from ...ground.errors import InputError
from ...ir.graph import Shape
from .graph_builder import Junction, shape_of

Edges = list[tuple[str, str]]
RANKS: dict[type[nir.NIRNode], int] = {
    nir.Linear: 1,
    nir.Affine: 1,
    nir.Conv1d: 2,
    nir.Conv2d: 3,
    nir.SumPool2d: 3,
    nir.AvgPool2d: 3,
}
"""Axes of one sample's step that a node takes."""


def inline(graph: nir.NIRGraph) -> tuple[dict[str, nir.NIRNode], list[tuple[str, str]]]:
    """Nodes and edges with every subgraph's content in its place, as 'subgraph.node'."""
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    enter: dict[str, str] = {}
    leave: dict[str, str] = {}
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            continue
        inner, inner_edges = inline(node)
        for kind, side in ((nir.Input, enter), (nir.Output, leave)):
            ends = [n for n, v in inner.items() if isinstance(v, kind)]
            if len(ends) != 1:
                raise InputError(
                    "SFX-E210",
                    f"a subgraph needs one {kind.__name__}, found {len(ends)}",
                    where=name,
                )
            side[name] = f"{name}.{ends[0]}"
            inner[ends[0]] = Junction()
        nodes |= {f"{name}.{k}": v for k, v in inner.items()}
        edges += [(f"{name}.{a}", f"{name}.{b}") for a, b in inner_edges]
    edges += [(leave.get(a, a), enter.get(b, b)) for a, b in graph.edges]
    return nodes, edges


def past_the_loop(nodes: Mapping[str, nir.NIRNode], edges: Edges) -> Edges:
    """Edges with what enters a loop's weights from outside led to the loop's neuron instead.

    spyx 1.0.0 draws input -> weights <-> neuron, and computes input -> neuron <-> weights.
    """
    neurons = {n for n, v in nodes.items() if isinstance(v, nir.LIF | nir.CubaLIF | nir.IF)}
    known = set(edges)
    loop = {b: a for a, b in edges if a in neurons and (b, a) in known and b not in neurons}
    return [(a, loop[b]) if b in loop and a != loop[b] else (a, b) for a, b in edges]


def extra_axes(nodes: Mapping[str, nir.NIRNode], edges: Edges) -> dict[str, Shape]:
    """Input or Output -> the batch and time axes that its shape begins with.

    An exporter that traced a batch (rockpool, norse) leaves them in. Two axes more than the node
    beside it takes are batch and time; a single one is a batch of 1.
    """
    found: dict[str, Shape] = {}
    for name, node in nodes.items():
        if not isinstance(node, nir.Input | nir.Output):
            continue
        inside = isinstance(node, nir.Input)
        beside = (
            [b for a, b in edges if a == name] if inside else [a for a, b in edges if b == name]
        )
        shape = _declared(node)
        ranks = {_rank(nodes[n], shape) for n in beside if n in nodes}
        rank = ranks.pop() if len(ranks) == 1 else None
        extra = shape[: len(shape) - rank] if rank is not None else ()
        if len(extra) == 2 or extra == (1,):
            found[name] = extra
    return found


def without_extra_axes(nodes: Mapping[str, nir.NIRNode], edges: Edges) -> dict[str, nir.NIRNode]:
    """The same nodes, the ends without their batch and time axes."""
    cut = dict(nodes)
    for name, extra in extra_axes(nodes, edges).items():
        node = nodes[name]
        shape = np.array(_declared(node)[len(extra) :])
        new = nir.Input(shape) if isinstance(node, nir.Input) else nir.Output(shape)
        new.metadata = node.metadata
        cut[name] = new
    return cut


def _rank(node: nir.NIRNode, shape: Shape) -> int | None:
    """Axes that a node beside `shape` takes or gives, where it says so."""
    if isinstance(node, nir.LIF | nir.CubaLIF | nir.IF | nir.LI | nir.CubaLI):
        own = np.shape(node.v_leak if isinstance(node, nir.LI | nir.CubaLI) else node.v_threshold)
        return len(own) if own and shape[-len(own) :] == own else None
    if isinstance(node, nir.Flatten):
        return len(_declared(node)) or None
    return RANKS.get(type(node))


def _declared(node: nir.NIRNode) -> Shape:
    """The stated shape of an end or a Flatten; () where it is malformed, which comes later."""
    inside = not isinstance(node, nir.Output)
    try:
        return shape_of(node.input_type["input"] if inside else node.output_type["output"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return ()
