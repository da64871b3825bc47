"""What standard NIR has no node for, as dense layers over flat vectors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

import numpy as np

from ...ground.errors import Problem, UnsupportedError
from ...ir import graph as g
from ...ir.float_ops import apply
from ...ir.graph import FloatArray, Graph, Node
from .base import Condition
from .conditions import NO_BATCH_NORM, NO_MAX_POOL, NO_SPIKE_PRODUCT

MAX_ENTRIES = 1 << 24
"""Most entries of a dense matrix, 128 MiB."""
ROWS = 256
"""Inputs whose outputs are computed together."""
_FLATTENING = (g.Reshape, g.Permute, g.Expand, g.ReduceSum, g.Gather)
_LINEAR = (g.Conv2d, g.Linear, g.SumPool2d, g.Permute, g.Expand, g.ReduceSum, g.Gather)
_ANY_SHAPE = (g.Scale, g.Sum, g.LI, g.LIF, g.IF, g.Threshold, g.Integrator, g.Output)

VECTORS = Condition(
    "no view but one to a vector",
    lambda graph: (
        not graph.of_type(g.Permute, g.Expand, g.ReduceSum, g.Gather)
        and all(len(n.shape) == 1 for n in graph.of_type(g.Reshape))
    ),
)


@dataclass(frozen=True)
class StandardNodes:
    """Before: spikes [n, d] -> Permute -> Expand -> Threshold(1.5) -> ReduceSum -> y

    After:  spikes -> Reshape to a vector -> Linear -> Linear -> Threshold(1.5) -> Linear -> y

    From the first view on all is flat, because standard NIR cannot give a vector its axes back.
    """

    name: ClassVar[str] = "standard-nodes"
    requires: ClassVar[tuple[Condition, ...]] = (NO_BATCH_NORM, NO_MAX_POOL, NO_SPIKE_PRODUCT)
    ensures: ClassVar[tuple[Condition, ...]] = (VECTORS,)

    def run(self, graph: Graph) -> Graph:
        """The graph without extension ops but Reshape to a vector.

        Raises UnsupportedError (SFX-E644) with everything that has no standard form.
        """
        flat, problems = _flat(graph), list[Problem]()
        out, alias = list[Node](), dict[str, str]()
        flattened: dict[str, str] = {}
        for node in graph:
            if node.name not in flat:
                out.append(node)
                continue
            for p in node.producers:
                if p not in flat and p not in flattened and len(graph[p].shape) > 1:
                    flattened[p] = f"{p}.flat"
                    size = (prod(graph[p].shape),)
                    out.append(Node(f"{p}.flat", g.Reshape(), ((p,),), size, graph[p].module))
            if _moves_nothing(graph, node):
                alias[node.name] = node.producers[0]
                continue
            made = _vector(graph, node, problems)
            out.append(made)
        if problems:
            raise UnsupportedError.of(problems)
        names = {n: f for n, f in flattened.items()}
        return graph.with_nodes(
            [n if n.name not in flat else _renamed(n, alias, names) for n in out]
        )


def _flat(graph: Graph) -> set[str]:
    """Nodes whose values are vectors: from the first op without a standard form on."""
    flat = {n.name for n in graph if isinstance(n.op, _FLATTENING) or _odd(n.op)}
    before = -1
    while len(flat) != before:
        before = len(flat)
        flat |= {n.name for n in graph if flat & set(n.producers)}
    return flat


def _odd(op: g.Op) -> bool:
    """A convolution that NIR's node is not written for."""
    if not isinstance(op, g.Conv2d):
        return False
    return op.groups != 1 or op.weight.shape[2] != op.weight.shape[3] or op.bias.ndim > 1


def _moves_nothing(graph: Graph, node: Node) -> bool:
    """A view that keeps the order of the values."""
    if isinstance(node.op, g.Permute):
        shape = graph[node.producers[0]].shape
        kept = [i for i in node.op.order if shape[i] > 1]
        return kept == sorted(kept)
    return isinstance(node.op, g.Reshape)


def _vector(graph: Graph, node: Node, problems: list[Problem]) -> Node:
    size = prod(node.shape)
    if isinstance(node.op, _ANY_SHAPE):
        return replace(node, shape=(size,))
    kind = type(node.op).__name__
    if not isinstance(node.op, _LINEAR):
        what = f"{kind} has no standard NIR node"
        problems.append(Problem("SFX-E644", node.name, what, "leave --standard-only out"))
        return node
    shape = graph[node.producers[0]].shape
    if prod(shape) * size > MAX_ENTRIES:
        what = f"{kind} as a dense layer has {prod(shape)} x {size} weights, at most {MAX_ENTRIES}"
        problems.append(Problem("SFX-E644", node.name, what, "leave --standard-only out"))
        return node
    weight, bias = _dense(node, shape)
    return replace(node, op=g.Linear(weight, bias), shape=(size,))


def _dense(node: Node, shape: g.Shape) -> tuple[FloatArray, FloatArray]:
    """Matrix [out, in] and bias of a linear op on flat values, from what it makes of each."""
    bias = _on(node, np.zeros((1, *shape)))[0]
    size = prod(shape)
    columns = np.empty((size, len(bias)))
    for i in range(0, size, ROWS):
        units = np.eye(min(ROWS, size - i), size, i).reshape(-1, *shape)
        columns[i : i + ROWS] = _on(node, units) - bias
    return np.ascontiguousarray(columns.T), bias


def _on(node: Node, x: FloatArray) -> FloatArray:
    if isinstance(node.op, g.Expand):
        return np.broadcast_to(x, (len(x), *node.shape)).reshape(len(x), -1)
    return apply(node.op, x).reshape(len(x), -1)


def _renamed(node: Node, alias: dict[str, str], flattened: dict[str, str]) -> Node:
    def name(p: str) -> str:
        while p in alias:
            p = alias[p]
        return flattened.get(p, p)

    return replace(node, inputs=tuple(tuple(map(name, port)) for port in node.inputs))
