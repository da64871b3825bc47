"""Value classes: the least and greatest value of every node, and whether it is a whole number.

The class decides which lowerings are legal: a max-pool is an OR only on binary values, a relay
carries only whole numbers, an AND replaces a product only where both operands are binary.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from . import graph as g


@dataclass(frozen=True)
class Range:
    """Every element lies in [low, high]; `whole`: every element is a whole number."""

    low: float
    high: float
    whole: bool

    @property
    def binary(self) -> bool:
        """Only 0 and 1."""
        return self.whole and self.low >= 0 and self.high <= 1

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high, self.whole and other.whole)

    def times(self, factor: float, count: int = 1) -> Range:
        """The sum of `count` elements, each multiplied by `factor`."""
        ends = sorted((self.low * factor * count, self.high * factor * count))
        return Range(ends[0], ends[1], self.whole and float(factor).is_integer())


SPIKES = Range(0, 1, True)


def ranges(graph: g.Graph, input_high: int = 1) -> dict[str, Range]:
    """node name -> Range. `input_high`: largest event count of the input where its node says 0."""
    out: dict[str, Range] = {}
    for node in graph:
        operands = []
        for port in node.inputs:
            total = Range(0, 0, True)
            # An edge that closes a loop carries a neuron's spikes; its producer comes later.
            each = [out.get(p, SPIKES) for p in port]
            if side_by_side([graph[p].op for p in port]):
                whole = all(r.whole for r in each)
                total = Range(min(r.low for r in each), max(r.high for r in each), whole)
            else:
                for r in each:
                    total = total + r
            operands.append(total)
        out[node.name] = _range(graph, node, operands, input_high)
    return out


def side_by_side(ops: list[g.Op]) -> bool:
    """Whether values that are added are padded so that at most one of them is not 0 anywhere."""
    gathers = [op for op in ops if isinstance(op, g.Gather)]
    if len(gathers) < 2 or len(gathers) < len(ops) or len({op.axis for op in gathers}) > 1:
        return False
    filled = np.array([op.index for op in gathers]) >= 0
    return bool((filled.sum(axis=0) <= 1).all())


def _range(graph: g.Graph, node: g.Node, operands: list[Range], input_high: int) -> Range:
    op = node.op
    match op:
        case g.Input():
            return Range(0, op.high or input_high, True)
        case g.LIF() | g.IF() if op.fires in ("many", "round") and op.most:
            return Range(0, op.most, True)
        case g.LIF() | g.IF() if op.fires == "signed":
            return Range(-1, 1, True)
        case g.LIF() | g.IF() | g.Threshold() | g.Slot() | g.TimeMap():
            return SPIKES
        case g.ReLU():
            return Range(max(operands[0].low, 0), max(operands[0].high, 0), operands[0].whole)
        case g.LI():
            most = operands[0].times(op.gain * op.w_in)
            reached = (most.low + op.leak, most.high + op.leak, op.start, 0.0)
            return Range(min(reached), max(reached), False)
        case g.Integrator():
            return operands[0].times(op.gain, graph.timesteps)
        case g.TimeSum():
            return operands[0].times(1, op.span(graph.timesteps))
        case g.Scale():
            return operands[0].times(op.factor)
        case g.ReduceSum():
            shape = graph[node.producers[0]].shape
            return operands[0].times(1, prod(shape[i] for i in op.axes))
        case g.SumPool2d():
            window = operands[0].times(1, prod(op.kernel))
            return Range(min(window.low, 0), max(window.high, 0), window.whole)
        case g.Gather() if op.pads:
            low, high = min(operands[0].low, 0), max(operands[0].high, 0)
            return Range(low, high, operands[0].whole)
        case g.Product():
            a, b = operands
            ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
            return Range(min(ends), max(ends), a.whole and b.whole)
        case g.Conv2d() | g.Linear():
            return _affine_range(op.weight, op.bias, operands[0])
        case g.BatchNorm():
            return Range(-np.inf, np.inf, False)
        case _:
            return operands[0]


def _affine_range(weight: g.FloatArray, bias: g.FloatArray, x: Range) -> Range:
    rows = weight.reshape(len(weight), -1)
    up, down = np.maximum(rows, 0).sum(1), np.minimum(rows, 0).sum(1)
    low, high = min(x.low, 0.0), max(x.high, 0.0)  # padding adds zeros
    whole = x.whole and bool(np.all(weight == np.rint(weight)) and np.all(bias == np.rint(bias)))
    ends = bias.reshape(len(rows), -1)  # of every position
    floor, ceiling = ends.min(axis=1), ends.max(axis=1)
    least, most = up * low + down * high + floor, up * high + down * low + ceiling
    return Range(float(least.min()), float(most.max()), whole)
