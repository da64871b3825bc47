"""Fold batch norms and added constants into the layers around them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...ir.graph import (
    VIEWS,
    BatchNorm,
    Conv2d,
    FloatArray,
    Gather,
    Graph,
    Linear,
    Node,
    ReduceSum,
    Reshape,
    Scale,
    Sum,
    SumPool2d,
    unused,
)
from .base import Condition, rewire
from .conditions import NO_BATCH_NORM
from .norms import (
    Norm,
    after_layer,
    as_layer,
    before,
    before_layer,
    behind,
)

Arrays = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class FoldBatchNorm:
    """Before: x -> Conv2d(W, b) -> views -> BatchNorm(gamma, beta, mean, var, eps) -> y

    After:  x -> Conv2d(s W, s (b - mean) + beta) -> views -> y,  s = gamma / sqrt(var + eps)

    Where no layer comes before (the input, 1 - spikes), it goes into all that come behind:

    Before: x -> BatchNorm -> views, sums -> Conv2d(W, b) -> y
    After:  x -> views, sums -> Conv2d(W s, W * shift + b) -> y,  shift = beta - s mean

    and where there is neither, it is a layer of its own, a depthwise 1x1 convolution. Nothing is
    left out: a constant that meets a padded border gives a bias of each position. Arithmetic in
    float64.
    """

    name: ClassVar[str] = "fold-batch-norm"
    requires: ClassVar[tuple[Condition, ...]] = ()
    ensures: ClassVar[tuple[Condition, ...]] = (NO_BATCH_NORM,)

    def run(self, graph: Graph) -> Graph:
        """The graph without batch norm."""
        for name in [n.name for n in graph.of_type(BatchNorm)]:
            graph = _into_layer_before(graph, graph[name]) or graph
        for name in [n.name for n in reversed(graph.of_type(BatchNorm))]:
            norm = graph[name]
            graph = _into_layers_behind(graph, norm) or _own_layer(graph, norm)
        return graph


def _into_layer_before(graph: Graph, node: Node) -> Graph | None:
    """The norm folded into the one layer that feeds it alone, or None."""
    norm, at = Norm.of(node), node
    dropped: dict[str, str] = {}
    while True:
        if at is node or isinstance(at.op, Scale):
            dropped[at.name] = at.producers[0]
        if len(at.producers) != 1 or len(graph.consumers[at.producers[0]]) != 1:
            return None
        at = graph[at.producers[0]]
        if isinstance(at.op, Conv2d | Linear):
            break
        if not isinstance(at.op, (*VIEWS, Scale, Gather)) or at.op == Scale(0.0):
            return None
        earlier = before(norm, at, graph[at.producers[0]].shape)
        if earlier is None:
            return None
        norm = earlier
    op = after_layer(at.op, norm)
    if op is None:
        return None
    kept = [replace(n, op=op) if n.name == at.name else n for n in graph if n.name not in dropped]
    return graph.with_nodes(rewire(kept, dropped))


def _into_layers_behind(graph: Graph, node: Node) -> Graph | None:
    """The norm folded into every layer that reads it, or None if something else does."""
    norm = Norm.of(node)
    changed: dict[str, Conv2d | Linear] = {}
    todo: list[tuple[str, Arrays]] = [(node.name, (norm.scale, norm.shift))]
    while todo:
        name, (scale, shift) = todo.pop()
        if not graph.consumers[name]:
            return None
        for reader, _ in graph.consumers[name]:
            at = graph[reader]
            alone = len(at.producers) == 1 or norm.only_shifts
            if not alone or not isinstance(at.op, (*VIEWS, *_PASSED, Conv2d, Linear)):
                return None
            if isinstance(at.op, Conv2d | Linear):
                op = before_layer(changed.get(reader, at.op), scale, shift)
                if op is None:
                    return None
                changed[reader] = op
                continue
            there = (scale, shift) if isinstance(at.op, Sum) else behind(scale, shift, at)
            if there is None:
                return None
            todo.append((reader, there))
    kept = [replace(n, op=changed.get(n.name, n.op)) for n in graph if n.name != node.name]
    if len(node.producers) == 1:
        return graph.with_nodes(rewire(kept, {node.name: node.producers[0]}))
    return graph.with_nodes([*kept, replace(node, op=Sum())])


_PASSED = (Scale, Sum, SumPool2d, ReduceSum, Gather)
"""Linear ops without weights that a constant goes through, besides views."""


def _own_layer(graph: Graph, node: Node) -> Graph:
    """The norm as a depthwise 1x1 convolution in its place."""
    op, shape = as_layer(Norm.of(node))
    taken = {n.name for n in graph}
    flat, made = (unused(f"{node.name}.{part}", taken) for part in ("flat", "layer"))
    new = [
        Node(flat, Reshape(), node.inputs, shape, node.module),
        Node(made, op, ((flat,),), shape, node.module),
        replace(node, op=Reshape(), inputs=((made,),)),
    ]
    return graph.with_nodes([n for n in graph if n.name != node.name] + new)
