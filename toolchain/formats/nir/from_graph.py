"""Graph -> NIR: standard nodes where NIR has them, extension nodes for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import nir
import numpy as np

from ...ground.errors import Problem, SfxError
from ...ir import graph as g
from ...ir.check import check_graph
from ...ir.graph import Graph, Op, Shape, unused
from . import ext
from .size import check_size


def from_graph(graph: Graph) -> nir.NIRGraph:
    """The NIR graph of a checked `Graph` (imported form); `to_graph` of it gives the same Graph.

    Raises SfxError for an illegal graph, SFX-E203 for ops that only exist after lowering, and
    SFX-E219 for more nodes than a file may contain.
    """
    check_graph(graph)
    bad = [
        Problem("SFX-E203", n.name, f"{type(n.op).__name__} has no NIR node")
        for n in graph
        if type(n.op) not in WRITERS
    ]
    if bad:
        raise SfxError.of(bad)
    nodes: dict[str, nir.NIRNode] = {}
    edges: list[tuple[str, str]] = []
    taken = {n.name for n in graph}
    for node in graph:
        arriving = graph[node.producers[0]].shape if node.producers else node.shape
        made = WRITERS[type(node.op)](node.op, arriving, node.shape, graph.dt)
        nodes[node.name] = ext.with_facts(made, module=node.module) if node.module else made
        separate = isinstance(node.op, g.Product)
        used: set[str] = set()
        for port, producers in enumerate(node.inputs):
            # a Product multiplies its edges, so a sum needs its own node; no edge may come twice
            for group in [producers] if separate else [(p,) for p in producers]:
                if len(group) == 1 and group[0] not in used:
                    edges.append((group[0], node.name))
                    used.add(group[0])
                    continue
                name = unused(f"{node.name}.in{port + 1}", taken)
                nodes[name] = ext.junction(arriving)
                edges += [(p, name) for p in group]
                edges.append((name, node.name))
    made = ext.with_facts(
        nir.NIRGraph(nodes, edges, type_check=False),  # checked above; NIR takes nodes^2 steps
        sfx=ext.FORMAT,
        timesteps=graph.timesteps,
        dt=graph.dt,
        name=graph.name,
    )
    check_size(made)
    return made


def _write_conv(op: g.Conv2d, arriving: Shape, shape: Shape, dt: float) -> nir.NIRNode:
    if op.groups == 1 and op.weight.shape[2] == op.weight.shape[3]:
        return nir.Conv2d(
            arriving[1:], op.weight, op.stride, op.padding, op.dilation, op.groups, op.bias
        )
    return ext.GroupedConv2d(
        arriving, op.weight, op.stride, op.padding, op.dilation, op.groups, op.bias
    )


def _write_neuron(op: g.LIF | g.IF, arriving: Shape, shape: Shape, dt: float) -> nir.NIRNode:
    constants = {f.name: getattr(op, f.name) for f in fields(op)}
    return ext.lif_node(shape, g.LIF(**({"decay": 0.0} | constants)), dt)


def output_node(shape: Shape, op: g.Output) -> nir.Output:
    """The end of a graph, with what becomes of its steps."""
    made = ext.with_facts(nir.Output(np.array(shape)), reduce=op.reduce)
    if not op.weights:
        return made
    return ext.with_facts(made, weights=" ".join(repr(float(w)) for w in op.weights))


WRITERS: dict[type[Op], Callable[[Any, Shape, Shape, float], nir.NIRNode]] = {
    g.Input: lambda op, i, o, dt: ext.with_facts(
        nir.Input(np.array(o)), **({"high": op.high} if op.high else {})
    ),
    g.Output: lambda op, i, o, dt: output_node(o, op),
    g.Conv2d: _write_conv,
    g.Linear: lambda op, i, o, dt: nir.Affine(op.weight, op.bias),
    g.BatchNorm: lambda op, i, o, dt: ext.BatchNorm(
        i, op.weight, op.bias, op.mean, op.var, op.eps, op.axis
    ),
    g.Scale: lambda op, i, o, dt: nir.Scale(np.full(o, op.factor)),
    g.Sum: lambda op, i, o, dt: ext.junction(o),
    g.SumPool2d: lambda op, i, o, dt: nir.SumPool2d(
        *(np.array(v) for v in (op.kernel, op.stride, op.padding))
    ),
    g.MaxPool2d: lambda op, i, o, dt: ext.MaxPool2d(i, op.kernel, op.stride, op.padding),
    g.ReduceSum: lambda op, i, o, dt: ext.ReduceSum(i, op.axes),
    g.Reshape: lambda op, i, o, dt: ext.Reshape(i, o),
    g.Permute: lambda op, i, o, dt: ext.Permute(i, op.order),
    g.Expand: lambda op, i, o, dt: ext.Expand(i, o),
    g.Gather: lambda op, i, o, dt: ext.Gather(i, op.axis, op.index),
    g.LI: lambda op, i, o, dt: ext.li_node(o, op, dt),
    g.LIF: _write_neuron,
    g.IF: _write_neuron,
    g.Threshold: lambda op, i, o, dt: nir.Threshold(np.full(o, op.threshold)),
    g.Integrator: lambda op, i, o, dt: ext.integrator_node(o, gain=op.gain, dt=dt),
    g.Delay: lambda op, i, o, dt: nir.Delay(op.of(o).reshape(o) * dt),
    g.Product: lambda op, i, o, dt: ext.Product(o),
    g.TimeMap: lambda op, i, o, dt: ext.TimeMap(o, op.weight, op.bias),
    g.TimeSum: lambda op, i, o, dt: ext.GroupSum(o, op.group) if op.group else ext.TimeSum(o),
}
