"""Integer neurons without a memory: levels of a `MultiLevel` population, in one message a step.

Of v = W s + b each neuron sends how many levels v passes (`ir/stairs.py`). Where halves are rounded
to the even number, that is strictly for even levels, from the level itself on for odd ones. On
whole numbers both are a strict comparison.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ground.arith import IntArray
from ...ir import graph as g
from ...ir import program as p
from ...ir.stairs import Stairs, stairs
from ...ir.wires import wires_into
from .fit.real import real_cell
from .fit.ties import alike
from .fit.whole_levels import whole_levels
from .fitted import Fitted, Scheme, add
from .state.mantissas import Mantissas
from .state.quantizer_state import QuantizerState, inputs_of, real_drive

FINE = 200
"""Units of a threshold from which rounding a bias or a level says nothing any more."""


def add_levels(state: QuantizerState, node: g.Node) -> None:
    """Choose the integers, append population, projections and record.

    Raises UnsupportedError SFX-E310 if no scale fits.
    """
    of = stairs(node.op)
    assert of is not None, "it is an integer neuron"
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    add(state, _Levels(inputs, real_cell(node, inputs), -len(of.down), len(of.up), of))


@dataclass(frozen=True, eq=False)
class _Levels(Scheme):
    """A `MultiLevel` population."""

    of: Stairs

    def integers(self, state: QuantizerState, m: Mantissas, bound: float) -> Fitted | None:
        """The smallest exponent at which nothing is rounded, or a threshold has `FINE` units; else
        the largest at which every sum fits.
        """
        real, of, shape = self.real, self.of, self.node.shape
        widths = state.arithmetic
        least, most = widths.weight_exp
        lowest = max((least + r for r in m.headroom), default=least)
        highest = min((most + r for r in m.headroom), default=most)
        bias = np.asarray(real.bias_i + real.bias_v, np.float64)
        top = max(bound + np.abs(bias * m.gain).max(initial=0), of.most * real.threshold * m.gain)
        while highest >= lowest and (top + 1) * 2.0**highest >= widths.payload_limit:
            highest -= 1
        if highest < lowest:
            return None
        whole = max(m.headroom, default=0)
        exponent = max(min(highest, whole), lowest)
        while exponent < highest and not _fine(bias, real.threshold, m.gain * 2.0**exponent):
            exponent += 1
        unit = m.gain * 2.0**exponent
        exponents = tuple(exponent - r for r in m.headroom)
        floors = sum(e < 0 for e in exponents)
        levels = whole_levels(of, unit, floors / 2)
        if levels is None:
            return None
        ints = np.rint(bias * unit).astype(np.int64)
        kept = all(alike(q, w * m.gain) for q, w in zip(m.values(), real.weights, strict=True))
        exact = kept and floors == 0 and alike(ints, bias * unit)
        full = np.broadcast_to(ints, (int(np.prod(shape, dtype=np.int64)),)).reshape(shape)
        neuron = p.MultiLevel(*levels, full.copy() if ints.any() else np.zeros((), np.int64))
        error = 0.0 if exact else 0.5 / (real.threshold * unit)
        return Fitted(neuron, m, exponents, unit, exact, error)

    def sends(self, state: QuantizerState, neuron: p.NeuronProgram, total: IntArray) -> IntArray:
        """How many levels its input and bias pass."""
        assert isinstance(neuron, p.MultiLevel)
        return neuron.count(total + neuron.bias.reshape(-1))

    def choose(self, state: QuantizerState, found: list[Fitted]) -> Fitted:
        """The integers nearest to what the float layer makes of the integers that it receives."""
        if state.lead is None or len(found) == 1:
            return found[0]
        real = self.real
        v = np.zeros((*state.lead, state.size(self.node.name))) + real.bias_i + real.bias_v
        for i, w in enumerate(real.weights):
            v = v + real_drive(state, self.inputs, i, w)
        target = self.of.count(v)
        return min(found, key=lambda f: int(np.abs(self.sent(state, f, state.sent) - target).sum()))


def _fine(bias: g.FloatArray, threshold: float, unit: float) -> bool:
    return threshold * unit >= FINE or alike(np.rint(bias * unit), bias * unit)
