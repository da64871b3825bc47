"""Fold batch norm into the convolution or linear layer before it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sfx.toolchain.errors import Problem, UnsupportedError
from sfx.toolchain.ir.axes import Axes, NotAView
from sfx.toolchain.ir.graph import VIEWS, BatchNorm, Conv2d, FloatArray, Graph, Linear, Node
from sfx.toolchain.passes.base import rewire


@dataclass(frozen=True)
class FoldBatchNorm:
    """Before: x -> Conv2d(W, b) -> views -> BatchNorm(gamma, beta, mean, var, eps) -> y

    After:  x -> Conv2d(s W, s (b - mean) + beta) -> views -> y,  s = gamma / sqrt(var + eps)

    The layer must feed the batch norm alone, and the batch norm's axis must be the layer's
    output channels. Arithmetic in float64.
    """

    def run(self, graph: Graph) -> Graph:
        """Raises UnsupportedError (SFX-E301) listing every batch norm that has no such layer."""
        nodes = {n.name: n for n in graph}
        dropped: dict[str, str] = {}
        problems: list[Problem] = []
        for node in graph.of_type(BatchNorm):
            layer = self._layer_before(graph, node)
            if isinstance(layer, str):
                problems.append(
                    Problem(
                        "SFX-E301",
                        node.module or node.name,
                        f"this batch norm cannot be folded: {layer}",
                        "place batch norm directly after a convolution or linear layer",
                    )
                )
                continue
            nodes[layer.name] = replace(layer, op=_scaled(nodes[layer.name].op, node.op))
            dropped[node.name] = node.inputs[0][0]
        if problems:
            raise UnsupportedError.of(problems)
        kept = [nodes[n.name] for n in graph if n.name not in dropped]
        return graph.with_nodes(rewire(kept, dropped))

    def _layer_before(self, graph: Graph, norm: Node) -> Node | str:
        """The layer to fold `norm` into, or the reason why there is none."""
        assert isinstance(norm.op, BatchNorm)
        chain: list[Node] = []
        node = norm
        while True:
            if len(node.producers) != 1:
                return f"its operand is a sum of {len(node.producers)} values"
            node = graph[node.producers[0]]
            if len(graph.consumers[node.name]) != 1:
                return f"{node.name} also feeds other nodes"
            if not isinstance(node.op, (*VIEWS, BatchNorm)):
                break
            if not isinstance(node.op, BatchNorm):
                chain.append(node)
        if not isinstance(node.op, Conv2d | Linear):
            return f"it follows {node.name} ({type(node.op).__name__}), not a linear layer"
        try:
            axes = Axes.of(node.shape)
            for view in reversed(chain):
                axes = axes.then(view)
        except NotAView as error:
            return str(error)
        channels = ("a0",) if node.shape[0] > 1 else ()
        return node if axes.dims[norm.op.axis] == channels else "its axis is not the channels"


def _scaled(op: object, norm: object) -> Conv2d | Linear:
    assert isinstance(op, Conv2d | Linear)
    assert isinstance(norm, BatchNorm)
    scale: FloatArray = norm.weight / np.sqrt(norm.var + norm.eps)
    weight = op.weight * scale.reshape(-1, *[1] * (op.weight.ndim - 1))
    return replace(op, weight=weight, bias=(op.bias - norm.mean) * scale + norm.bias)
