"""The graph cut at its neurons: each receives what the graph makes of torch's recorded spikes.

So one spike that falls the other way at a tie is not carried on, and the first neuron that differs
is the one that is wrong. Beside each value stands how far float32 may be from it:

    |float32 - real| <= gamma(k) u M

M bounds the sum of the absolute values of all terms, k counts the roundings on the longest way from
a spike to the value (a sum of n products has n), u is the unit roundoff. gamma(k) is k in the worst
case; for k > 100 the probabilistic bound 10 sqrt(k) is smaller, which fails for a value with
probability 2 k exp(-50) (N. Higham, T. Mary, SIAM J. Sci. Comput. 41(5), 2019, theorem 2.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...toolchain.ir import evaluate
from ...toolchain.ir import graph as g
from ...toolchain.ir.check import loops
from ...toolchain.ir.graph import FloatArray, Graph, Node
from ...toolchain.ir.stairs import stairs
from .membrane import LOCAL
from .record import Recording

CURRENT = "current into "
OUTSIDE = "what arrives from outside at "
"""Of a recurrent neuron: its module receives this and adds its own spikes of the step before."""
DELAYED = "the step before of "
CONFIDENCE = 10.0


@dataclass(frozen=True)
class Size:
    """M and k of a value."""

    magnitude: float
    roundings: int

    def error(self, unit: float) -> float:
        """How far a value computed with unit roundoff `unit` may be from the real one."""
        k = float(self.roundings)
        return min(k, CONFIDENCE * math.sqrt(k)) * unit * self.magnitude


@dataclass(frozen=True, eq=False)
class Cut:
    """graph: every recorded neuron without producers, and a node CURRENT + name with them.

    neurons  the recorded neurons, producers first
    given    what the cut nodes send, [1, T, *shape]
    sizes    M and k of every node
    """

    graph: Graph
    neurons: tuple[Node, ...]
    given: Mapping[str, FloatArray]
    sizes: Mapping[str, Size]

    def run(self, x: FloatArray, see: Callable[[Node, FloatArray], None]) -> None:
        """`see` gets every current and the output, [T, *shape], as soon as they are known."""
        ends = [n.name for n in self.graph if n.name.startswith((CURRENT, OUTSIDE))]
        ends += [n.name for n in self.graph.of_type(g.Output)]
        evaluate.visit(
            self.graph, x[None], self.given, ends, lambda node, values: see(node, values[0])
        )


def cut(graph: Graph, recording: Recording) -> Cut:
    """Cut `graph` at the neurons that `recording` knows."""
    known = {n.name for n in graph if n.name in recording.neurons and _followed(n)}
    inside = _loops(graph, known)
    nodes: list[Node] = []
    given: dict[str, FloatArray] = {}
    for node in graph:
        inputs = node.inputs
        if node.name in inside:  # its own spikes arrive a step later
            late = {n: DELAYED + n for n in inside[node.name]}
            inputs = tuple(tuple(late.get(p, p) for p in port) for port in inputs)
        if node.name not in known:
            nodes.append(replace(node, inputs=inputs))
            continue
        sent = recording.neurons[node.name].sent[None]
        given[node.name] = sent
        if node.name in inside:
            given[DELAYED + node.name] = np.concatenate([0 * sent[:, :1], sent[:, :-1]], axis=1)
            nodes.append(replace(node, name=DELAYED + node.name, inputs=()))
        nodes.append(replace(node, inputs=()))
        nodes.append(Node(CURRENT + node.name, g.Sum(), inputs, node.shape))
        outside = tuple(p for p in node.producers if p not in inside)
        if node.name in inside and outside:
            nodes.append(Node(OUTSIDE + node.name, g.Sum(), (outside,), node.shape))
    made = graph.with_nodes(nodes)
    order = [n for n in graph if n.name in known]
    return Cut(made, tuple(order), given, sizes(made, recording.x))


def _followed(node: Node) -> bool:
    """Whether it is a neuron that fires 0 or 1, or an integer one; others are computed only."""
    lif = isinstance(node.op, g.LIF | g.IF) and node.op.fires != "many"
    return lif or isinstance(node.op, g.TimeMap)


def _loops(graph: Graph, known: set[str]) -> dict[str, set[str]]:
    """Members of a loop -> the recorded neuron in it."""
    found: dict[str, set[str]] = {}
    for loop in loops({n.name: n.producers for n in graph}):
        neurons = {name for name in loop if name in known}
        found |= {name: neurons for name in loop if neurons}
    return found


def sizes(graph: Graph, x: Any) -> dict[str, Size]:
    """M and k of every node of a cut graph, without computing a value."""
    found: dict[str, Size] = {}
    steps = graph.timesteps
    most = {
        name: float(of.most)
        for n in graph
        if (of := stairs(n.op)) is not None
        for name in (n.name, DELAYED + n.name)
    }
    for node in graph:
        if isinstance(node.op, g.Input):
            found[node.name] = Size(float(np.abs(x).max(initial=0.0)), 1)
        elif isinstance(node.op, g.LIF | g.IF | g.Threshold | g.TimeMap) or not node.producers:
            found[node.name] = Size(most.get(node.name, 1.0), 0)
        elif not all(p in found for p in node.producers):  # a loop that no record opens
            found[node.name] = Size(math.inf, 1)
        else:
            ports = [_joined([found[p] for p in port]) for port in node.inputs]
            found[node.name] = _through(node.op, graph, node, ports, steps)
    return found


def _joined(parts: list[Size]) -> Size:
    return Size(sum(p.magnitude for p in parts), max(p.roundings for p in parts) + len(parts) - 1)


def _through(op: g.Op, graph: Graph, node: Node, ports: list[Size], steps: int) -> Size:
    """The result of `op` on operands of these sizes."""
    m, k = ports[0].magnitude, ports[0].roundings
    if isinstance(op, g.Product):
        return Size(m * ports[1].magnitude, k + ports[1].roundings + 1)
    if isinstance(op, g.Linear | g.Conv2d):
        rows = np.abs(op.weight).reshape(len(op.weight), -1)
        terms = int((rows > 0).sum(axis=1).max(initial=0))
        return Size(m * float(rows.sum(axis=1).max()) + _largest(op.bias), k + terms + 1)
    if isinstance(op, g.BatchNorm):
        share = np.abs(op.weight) / np.sqrt(op.var + op.eps)
        return Size(float(((m + np.abs(op.mean)) * share + np.abs(op.bias)).max()), k + 6)
    if isinstance(op, g.Scale):
        return Size(m * abs(op.factor), k + 2)
    if isinstance(op, g.SumPool2d):
        return Size(m * math.prod(op.kernel), k + math.prod(op.kernel))
    if isinstance(op, g.ReduceSum):
        count = math.prod(graph[node.producers[0]].shape[i] for i in op.axes)
        return Size(m * count, k + count)
    if isinstance(op, g.Integrator):
        return Size(m * abs(op.gain) * steps, k + steps + 1)
    if isinstance(op, g.LI):
        # v and i are means of what they were and of what comes, weighted by the two decays
        grown = max(abs(op.gain * op.w_in), 1.0)
        return Size(m * grown + abs(op.leak) + abs(op.start), k + LOCAL * steps)
    if isinstance(op, g.TimeSum):
        span = op.span(steps)
        return Size(m * span, k + span)
    return Size(m, k)


def _largest(values: FloatArray) -> float:
    return float(np.abs(values).max(initial=0.0))
