"""Fold two convolutions without a neuron between them into one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ...ir.graph import Conv2d, FloatArray, Graph, Node
from .base import Condition, rewire
from .conditions import NO_BATCH_NORM


@dataclass(frozen=True)
class FoldConvs:
    """Before: x -> Conv2d(A, a) -> Conv2d(B, b, no padding) -> y

    After:  x -> Conv2d(K, B a + b) -> y,
            K[o, i, s] = sum over m and u + v = s of B[o, m, v] A[m, i, u]

    Exact in real numbers: a RepConv (1x1, depthwise 3x3, 1x1, each with batch norm) becomes one
    dense 3x3. Only where A has stride 1, nothing else reads A, and the one kernel has at most
    `growth` times the weights of the two, since more weights need more synaptic memory.
    """

    name: ClassVar[str] = "fold-convs"
    requires: ClassVar[tuple[Condition, ...]] = (NO_BATCH_NORM,)

    growth: float = 10.0

    @property
    def ensures(self) -> tuple[Condition, ...]:
        """No such pair is left."""
        return (Condition("no two convolutions to fold", lambda graph: self._pair(graph) is None),)

    def run(self, graph: Graph) -> Graph:
        """The graph with every such pair folded, first pairs first."""
        while (pair := self._pair(graph)) is not None:
            graph = _fold(graph, *pair)
        return graph

    def _pair(self, graph: Graph) -> tuple[Node, Node] | None:
        for second in graph.of_type(Conv2d):
            if len(second.producers) != 1:
                continue
            first = graph[second.producers[0]]
            if not isinstance(first.op, Conv2d) or len(graph.consumers[first.name]) != 1:
                continue
            assert isinstance(second.op, Conv2d)
            if _composable(first.op, second.op) and self._small(first.op, second.op):
                return first, second
        return None

    def _small(self, a: Conv2d, b: Conv2d) -> bool:
        kernel = np.array(a.weight.shape[2:]) + np.array(b.weight.shape[2:]) - 1
        folded = len(b.weight) * a.weight.shape[1] * a.groups * int(np.prod(kernel))
        return folded <= self.growth * (np.count_nonzero(a.weight) + np.count_nonzero(b.weight))


def _composable(a: Conv2d, b: Conv2d) -> bool:
    plain = a.dilation == b.dilation == (1, 1) and a.stride == (1, 1)
    alike = a.bias.ndim == b.bias.ndim == 1  # at every position
    return plain and alike and b.padding == (0, 0)


def _dense(op: Conv2d) -> FloatArray:
    """The kernel of a grouped convolution over all input channels [O, I, kH, kW]."""
    if op.groups == 1:
        return op.weight
    out, per_group, *kernel = op.weight.shape
    dense = np.zeros((out, per_group * op.groups, *kernel))
    for o in range(out):
        start = o // (out // op.groups) * per_group
        dense[o, start : start + per_group] = op.weight[o]
    return dense


def _fold(graph: Graph, first: Node, second: Node) -> Graph:
    a, b = first.op, second.op
    assert isinstance(a, Conv2d)
    assert isinstance(b, Conv2d)
    inner, outer = _dense(a), _dense(b)
    height, width = (m + n - 1 for m, n in zip(inner.shape[2:], outer.shape[2:], strict=True))
    kernel = np.zeros((len(outer), inner.shape[1], height, width))
    for y, x in np.ndindex(*outer.shape[2:]):
        part = np.einsum("om,mihw->oihw", outer[:, :, y, x], inner)
        kernel[:, :, y : y + inner.shape[2], x : x + inner.shape[3]] += part
    bias = outer.sum(axis=(2, 3)) @ a.bias + b.bias
    folded = Conv2d(kernel, bias, b.stride, a.padding)
    nodes = [
        replace(n, op=folded, inputs=first.inputs) if n.name == second.name else n
        for n in graph
        if n.name != first.name
    ]
    return graph.with_nodes(rewire(nodes, {}))
