"""Wires: every path from neuron to neuron of a graph in neuron form, as one linear map.

A wire is what becomes a projection: real weights, a scalar factor, views on both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ground.errors import UnsupportedError
from .axes import Axes, NotAView
from .graph import (
    Conv2d,
    FloatArray,
    Gather,
    Graph,
    Linear,
    Node,
    Scale,
    Shape,
    Sum,
    SumPool2d,
)
from .program import View


@dataclass(frozen=True, eq=False)
class Wire:
    """source -> port of a neuron. Exactly one of `layer` and `axes` is set.

    layer   Conv2d or Linear with real weights (a sum-pool is a Conv2d of unit weights), or Gather
    in_shape, out_shape  of the layer
    pre_view, post_view  permutations around the layer
    axes    the labelled pattern of a wire without weights
    factor  product of the scales on the path
    bias    what the path adds to each post neuron [post size], factors included
    """

    source: str
    port: int
    factor: float
    bias: FloatArray
    layer: Conv2d | Linear | Gather | None = None
    in_shape: Shape = ()
    out_shape: Shape = ()
    pre_view: View | None = None
    post_view: View | None = None
    axes: Axes | None = None


def wires_into(graph: Graph, node: Node) -> list[Wire]:
    """All wires into `node`, in operand order. Raises UnsupportedError (SFX-E305)."""
    wires: list[Wire] = []
    for port, producers in enumerate(node.inputs):
        for p in producers:
            for path in _paths(graph, graph[p]):
                wires.append(_wire(graph, path, node, port))
    return wires


def sources(graph: Graph, node: Node) -> set[str]:
    """Names of the neurons that `node` reads, on any port."""
    return {path[0].name for p in node.producers for path in _paths(graph, graph[p])}


def _paths(graph: Graph, node: Node) -> list[tuple[Node, ...]]:
    """Every path that ends in `node` and starts at a neuron: (neuron, op, ..., node)."""
    if node.op.neuron:
        return [(node,)]
    return [(*path, node) for p in node.producers for path in _paths(graph, graph[p])]


def _wire(graph: Graph, path: tuple[Node, ...], target: Node, port: int) -> Wire:
    source, *steps = path
    factor = 1.0
    bias_scale = 1.0
    layer: Conv2d | Linear | Gather | None = None
    in_shape = out_shape = source.shape
    before = axes = Axes.of(source.shape)
    first_layer_bias: FloatArray | None = None
    try:
        for step in steps:
            if isinstance(step.op, Scale):
                factor *= step.op.factor
                bias_scale *= step.op.factor
            elif isinstance(step.op, Conv2d | Linear | SumPool2d | Gather):
                if layer is not None:
                    raise NotAView("two weighted layers without a neuron between them")
                layer = _as_layer(step, graph)
                in_shape, out_shape = graph[step.producers[0]].shape, step.shape
                before, axes = axes, Axes.of(step.shape)
                bias_scale = 1.0
                first_layer_bias = _bias_of(layer, step.shape, shared=_shares(graph, step, path))
            elif not isinstance(step.op, Sum):
                axes = axes.then(step)
    except NotAView as error:
        raise UnsupportedError(
            "SFX-E305",
            f"the path from {source.name} is not one projection: {error}",
            where=target.module or target.name,
            hint="reshape along whole axes only, and place a neuron between weighted layers",
        ) from error
    zero = np.broadcast_to(0.0, target_size(target))
    if layer is None:
        return Wire(source.name, port, factor * axes.repeat, zero, axes=axes)
    assert first_layer_bias is not None
    post_view = axes.view()
    bias = first_layer_bias * bias_scale
    if post_view is not None:
        bias = bias.reshape(post_view.split).transpose(post_view.order).ravel()
    return Wire(
        source.name, port, factor, bias, layer, in_shape, out_shape, before.view(), post_view
    )


def target_size(node: Node) -> int:
    """Number of neurons of a node."""
    return int(np.prod(node.shape, dtype=np.int64))


def _shares(graph: Graph, layer: Node, path: tuple[Node, ...]) -> bool:
    """True if an earlier path through `layer` already carries its bias (fan-in before weights)."""
    first = _paths(graph, layer)[0]
    return [n.name for n in first] != [n.name for n in path[: len(first)]]


def _bias_of(layer: Conv2d | Linear | Gather, shape: Shape, *, shared: bool) -> FloatArray:
    if shared or isinstance(layer, Gather):
        return np.zeros(int(np.prod(shape, dtype=np.int64)))
    bias = layer.offset if isinstance(layer, Conv2d) else layer.bias
    return np.broadcast_to(bias, shape).astype(np.float64).ravel()


def _as_layer(step: Node, graph: Graph) -> Conv2d | Linear | Gather:
    op = step.op
    if isinstance(op, Conv2d | Linear | Gather):
        return op
    assert isinstance(op, SumPool2d)
    channels = step.shape[0]
    ones = np.ones((channels, 1, *op.kernel))
    return Conv2d(ones, np.zeros(channels), op.stride, op.padding, (1, 1), channels)
