"""One slot of an integer neuron: a LIF that keeps nothing and compares its input with one level.

A LIF resets at a sample's start only, and the fastest decay (dv = 4095) leaves v / 4096 a step
later. So the level lies in the middle between two values that v can take, where that is less than
half of their distance; with one step to a sample nothing is left at all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...ground.arith import INPUT_SHIFT, IntArray
from ...ir import graph as g
from ...ir import program as p
from ...ir.graph import FloatArray
from ...ir.record import LayerRecord
from ...ir.wires import wires_into
from .cells.terms import low_bits
from .fit.counted import counted
from .fit.lif import COARSER, RealLIF, bias_integers, candidate_gains, run_lif
from .fit.mantissa import dead_weights, mantissas, weight_error
from .fit.no_scale import no_scale
from .fit.real import RealCell
from .fit.ties import alike, last_silent
from .state.mantissas import Mantissas
from .state.memory import memory_bits
from .state.quantizer_state import Inputs, QuantizerState, drive, inputs_of


@dataclass(frozen=True, eq=False)
class Fitted:
    """The integers of a slot; unit: whole numbers of a_in per 1.0 of the neuron's membrane."""

    neuron: p.LIF
    mantissas: Mantissas
    exponents: tuple[int, ...]
    unit: float
    exact: bool
    error: float


def add_slot(state: QuantizerState, node: g.Node) -> None:
    """Append the population, its projections and its record.

    Raises UnsupportedError SFX-E310 if no scale fits.
    """
    op = node.op
    assert isinstance(op, g.Slot)
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    bits = state.bits_of(node)
    real = RealLIF(1.0, op.level, inputs.weights, inputs.bias, op.reached)
    tried = [f for gain in candidate_gains(real, bits) if (f := _fitted(state, inputs, real, gain))]
    if not tried:
        raise no_scale(state, inputs, _cell(real), lambda s, r: _any(s, inputs, real))
    best = next((f for f in tried if f.exact), tried[0])
    made = inputs.made(best.mantissas, best.exponents)
    state.populations.append(
        p.Population(node.name, node.shape, best.neuron, 0, 1, -1, node.module)
    )
    state.projections.extend(made)
    record = LayerRecord(
        node.name,
        best.unit * (1 << INPUT_SHIFT),
        bits.used,
        best.exact,
        best.mantissas.clipped,
        weight_error(inputs.weights, best.mantissas),
        best.error,
        0.0,
        dead=dead_weights(inputs.weights, best.mantissas),
        memory_bits=memory_bits(made, state.arithmetic),
    )
    target = state.target(node.name)
    if target is not None:
        mine, alone = (
            run_lif(best.neuron, sum((drive(state, j, v) for j in made), state.zeros(node)),
                    state.arithmetic)[0]
            for v in (state.sent, {w.source: state.as_sent(w.source) for w in inputs.wires})
        )  # fmt: skip
        state.sent[node.name] = mine.astype(np.uint8)
        state.listen(node.name, target, mine)
        record = replace(record, **counted(target.astype(np.int64), alone, mine))
    state.records.append(record)


def _cell(real: RealLIF) -> RealCell:
    return RealCell(0.0, 0.0, real.weights, real.bias, 0.0, real.threshold, 0.0, 0.0, False)


def _any(state: QuantizerState, inputs: Inputs, real: RealLIF) -> bool:
    gains = candidate_gains(real, state.bits_of(inputs.node))
    return any(_fitted(state, inputs, real, gain) for gain in gains)


def _fitted(state: QuantizerState, inputs: Inputs, real: RealLIF, gain: float) -> Fitted | None:
    """The integers at a gain, or at the finest below it that fits; None for none."""
    for _ in range(COARSER):
        m = mantissas(real.weights, gain, state.bits_of(inputs.node))
        bound = float(np.abs(inputs.bounds(state, m)).max(initial=0))
        found = _integers(state, inputs.node, real, m, bound)
        if found is not None:
            return found
        gain /= 2
    return None


def _integers(
    state: QuantizerState, node: g.Node, real: RealLIF, m: Mantissas, bound: float
) -> Fitted | None:
    """The largest exponent at which the input, the bias and the level fit."""
    widths = state.arithmetic
    least, most = widths.weight_exp
    lowest = max((least + r for r in m.headroom), default=least)
    highest = min((most + r for r in m.headroom), default=most)
    bias = float(np.abs(real.bias).max(initial=0))
    for exponent in range(highest, lowest - 1, -1):
        unit = m.gain * 2.0**exponent
        most_v = bound * 2.0**exponent + bias * unit + 1
        small = most_v < widths.input_limit / 2 and real.threshold * unit < widths.input_limit / 2
        if small and bias * unit * (1 << INPUT_SHIFT) <= widths.largest_bias:
            return _at(state, node, real, m, exponent, most_v)
    return None


def _at(
    state: QuantizerState, node: g.Node, real: RealLIF, m: Mantissas, exponent: int, most_v: float
) -> Fitted:
    widths = state.arithmetic
    unit = m.gain * 2.0**exponent
    exponents = tuple(exponent - r for r in m.headroom)
    scale = unit * (1 << INPUT_SHIFT)
    mant, exp = bias_integers(real.bias * scale, widths)
    bias: IntArray = mant << exp
    left = 0.0  # of a_in, from the step before
    if state.graph.timesteps > 1:
        left = most_v / widths.decay_unity + 1 / (1 << INPUT_SHIFT)
    kept = all(alike(q, w * m.gain) for q, w in zip(m.values(), real.weights, strict=True))
    whole = kept and all(e >= 0 for e in exponents) and alike(bias, real.bias * scale)
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
    return Fitted(neuron, m, exponents, unit, exact, error)


def _grain(m: Mantissas, exponents: tuple[int, ...], bias: IntArray) -> float:
    """What every input with its bias is a multiple of, in units of a_in."""
    parts = [w << (e + INPUT_SHIFT) for w, e in zip(m.weights, exponents, strict=True)]
    values: FloatArray = np.concatenate([np.abs(v).ravel() for v in (*parts, bias)])
    return 2.0 ** (low_bits(values.astype(np.int64)) - INPUT_SHIFT)
