"""One slot of an integer neuron: a LIF that keeps nothing and compares its input with one level.

A LIF resets at a sample's start only, and the fastest decay (dv = 4095) leaves v / 4096 a step
later. So the level lies in the middle between two values that v can take, where that is less than
half of their distance; with one step to a sample nothing is left at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ground.arith import INPUT_SHIFT, IntArray
from ...ir import graph as g
from ...ir import program as p
from ...ir.graph import FloatArray
from ...ir.wires import wires_into
from .cells.terms import low_bits
from .fit.lif import bias_integers, run_lif
from .fit.real import RealCell
from .fit.ties import alike, last_silent
from .fitted import Fitted, Scheme, add
from .state.mantissas import Mantissas
from .state.quantizer_state import QuantizerState, inputs_of


def add_slot(state: QuantizerState, node: g.Node) -> None:
    """Append the population, its projections and its record.

    Raises UnsupportedError SFX-E310 if no scale fits.
    """
    op = node.op
    assert isinstance(op, g.Slot)
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    real = RealCell(
        0.0, 0.0, inputs.weights, inputs.bias, 0.0, op.level, 0.0, 0.0, False, op.reached
    )
    add(state, _Slot(inputs, real, 0, 1))


@dataclass(frozen=True, eq=False)
class _Slot(Scheme):
    """A LIF population."""

    def integers(self, state: QuantizerState, m: Mantissas, bound: float) -> Fitted | None:
        """The largest exponent at which the input, the bias and the level fit."""
        real, widths = self.real, state.arithmetic
        least, most = widths.weight_exp
        lowest = max((least + r for r in m.headroom), default=least)
        highest = min((most + r for r in m.headroom), default=most)
        bias = float(np.abs(real.bias_i).max(initial=0))
        for exponent in range(highest, lowest - 1, -1):
            unit = m.gain * 2.0**exponent
            most_v = bound * 2.0**exponent + bias * unit + 1
            small = max(most_v, real.threshold * unit) < widths.input_limit / 2
            if small and bias * unit * (1 << INPUT_SHIFT) <= widths.largest_bias:
                return _at(state, self.node, real, m, exponent, most_v)
        return None

    def sends(self, state: QuantizerState, neuron: p.NeuronProgram, total: IntArray) -> IntArray:
        """Its spikes."""
        assert isinstance(neuron, p.LIF)
        return run_lif(neuron, total, state.arithmetic)[0].astype(np.int64)


def _at(
    state: QuantizerState, node: g.Node, real: RealCell, m: Mantissas, exponent: int, most_v: float
) -> Fitted:
    widths = state.arithmetic
    unit = m.gain * 2.0**exponent
    exponents = tuple(exponent - r for r in m.headroom)
    scale = unit * (1 << INPUT_SHIFT)
    mant, exp = bias_integers(real.bias_i * scale, widths)
    bias: IntArray = mant << exp
    left = 0.0  # of a_in, from the step before
    if state.graph.timesteps > 1:
        left = most_v / widths.decay_unity + 1 / (1 << INPUT_SHIFT)
    kept = all(alike(q, w * m.gain) for q, w in zip(m.values(), real.weights, strict=True))
    whole = kept and all(e >= 0 for e in exponents) and alike(bias, real.bias_i * scale)
    grain = _grain(m, exponents, bias) if whole else 0.0
    exact = grain > 0 and ((grain >= 2 and left < grain / 2) or left == 0)
    if exact:
        silent = last_silent(real.threshold * unit / grain, real.reached)
        vth = int(np.floor(silent * grain + (grain / 2 if left else 0)))
    else:
        floors = sum(e < 0 for e in exponents)
        vth = max(0, last_silent(real.threshold * unit - floors / 2, real.reached))
    full = widths.full_decay
    neuron = p.LIF(full, full, vth, mant.reshape(node.shape), exp)
    error = 0.0 if exact else (0.5 + left) / (real.threshold * unit)
    return Fitted(neuron, m, exponents, scale, exact, error)


def _grain(m: Mantissas, exponents: tuple[int, ...], bias: IntArray) -> float:
    """What every input with its bias is a multiple of, in units of a_in."""
    parts = [w << (e + INPUT_SHIFT) for w, e in zip(m.weights, exponents, strict=True)]
    values: FloatArray = np.concatenate([np.abs(v).ravel() for v in (*parts, bias)])
    return 2.0 ** (low_bits(values.astype(np.int64)) - INPUT_SHIFT)
