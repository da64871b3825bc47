"""Integer neurons without a memory: levels of a `MultiLevel` population, in one message a step.

Of v = W s + b each neuron sends n = round(clamp(v / threshold, 0, D)), which passes level j where v
passes (j + 1/2) threshold: strictly for even j, from the level itself on for odd j, since torch
rounds halves to the even number. On whole numbers both are a strict comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ...ground.arith import IntArray
from ...ir import graph as g
from ...ir import program as p
from ...ir.matched import Silence, silent_side
from ...ir.record import LayerRecord
from ...ir.wires import wires_into
from .fit.counted import counted
from .fit.lif import COARSER, Form, RealLIF, candidate_gains
from .fit.mantissa import dead_weights, mantissas, weight_error
from .fit.no_scale import no_scale
from .fit.real import RealCell, real_cell
from .fit.ties import alike, last_silent
from .state.mantissas import Mantissas
from .state.memory import memory_bits
from .state.quantizer_state import Inputs, QuantizerState, drive, inputs_of, real_drive
from .state.values import Values

FINE = 200
"""Units of a threshold from which rounding a bias or a level says nothing any more."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """The integers of one population, and how far they are from the real numbers.

    unit  whole numbers per 1.0 of v
    """

    neuron: p.MultiLevel
    mantissas: Mantissas
    exponents: tuple[int, ...]
    unit: float
    exact: bool
    error: float


def add_levels(state: QuantizerState, node: g.Node) -> None:
    """Choose the integers, append population, projections and record.

    Raises UnsupportedError SFX-E310 if no scale fits.
    """
    op = node.op
    assert isinstance(op, g.LIF)
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    real, bits = real_cell(node, inputs), state.bits_of(node)
    found = [f for gain in _gains(real, state, node) if (f := _fitted(state, inputs, real, gain))]
    if not found:
        raise no_scale(state, inputs, real, lambda s, r: _any(s, inputs, r))
    best = next((f for f in found if f.exact), None) or _fewest_wrong(state, inputs, real, found)
    made = inputs.made(best.mantissas, best.exponents)
    state.populations.append(
        p.Population(node.name, node.shape, best.neuron, 0, op.most, -1, node.module)
    )
    state.projections.extend(made)
    record = LayerRecord(
        node.name,
        best.unit,
        bits.used,
        best.exact,
        best.mantissas.clipped,
        weight_error(real.weights, best.mantissas),
        best.error,
        0.0,
        dead=dead_weights(real.weights, best.mantissas),
        memory_bits=memory_bits(made, state.arithmetic),
    )
    target = state.target(node.name)
    if target is not None:
        before = {w.source: state.as_sent(w.source) for w in inputs.wires}
        mine, alone = (_sent(state, inputs, best, made, v) for v in (state.sent, before))
        state.sent[node.name] = mine.astype(np.uint8)
        record = replace(record, **counted(np.rint(target).astype(np.int64), alone, mine))
        where = silent_side(bool(target.any()), bool(mine.any()))
        if where:
            state.silent.append(Silence(node.name, where))
    state.records.append(record)


def _gains(real: RealCell, state: QuantizerState, node: g.Node) -> list[float]:
    stateless = RealLIF(1.0, real.threshold, real.weights, real.bias_i)
    return candidate_gains(stateless, state.bits_of(node))


def _any(state: QuantizerState, inputs: Inputs, real: RealCell) -> bool:
    gains = _gains(real, state, inputs.node)
    return any(_fitted(state, inputs, real, gain) for gain in gains)


def _fitted(state: QuantizerState, inputs: Inputs, real: RealCell, gain: float) -> Fitted | None:
    """The integers at a gain, or at the finest below it that fits; None for none."""
    bits, form = state.bits_of(inputs.node), _form(state, inputs.node)
    for _ in range(COARSER):
        m = mantissas(real.weights, gain, bits)
        ends = inputs.bounds(state, m)
        found = _integers(inputs.node, real, m, float(np.abs(ends).max(initial=0)), form)
        if found is not None:
            return found
        gain /= 2
    return None


def _form(state: QuantizerState, node: g.Node) -> Form:
    return Form(state.graph.timesteps, node.shape, state.arithmetic)


def _integers(
    node: g.Node, real: RealCell, m: Mantissas, bound: float, form: Form
) -> Fitted | None:
    """The smallest exponent at which nothing is rounded, or a threshold has `FINE` units; else the
    largest at which every sum fits.
    """
    widths = form.widths
    least, most = widths.weight_exp
    lowest = max((least + r for r in m.headroom), default=least)
    highest = min((most + r for r in m.headroom), default=most)
    bias = np.asarray(real.bias_i + real.bias_v, np.float64)
    op = node.op
    assert isinstance(op, g.LIF)
    top = max(bound + np.abs(bias * m.gain).max(initial=0), op.most * real.threshold * m.gain)
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
    up = tuple(last_silent(level * unit - floors / 2, reached) for level, reached in op.levels)
    if up[0] < 0 or any(b <= a for a, b in pairwise(up)):
        return None
    ints = np.rint(bias * unit).astype(np.int64)
    kept = all(alike(q, w * m.gain) for q, w in zip(m.values(), real.weights, strict=True))
    exact = kept and floors == 0 and alike(ints, bias * unit)
    full = np.broadcast_to(ints, (int(np.prod(form.shape, dtype=np.int64)),)).reshape(form.shape)
    neuron = p.MultiLevel(up, (), full.copy() if ints.any() else np.zeros((), np.int64))
    error = 0.0 if exact else 0.5 / (real.threshold * unit)
    return Fitted(neuron, m, exponents, unit, exact, error)


def _fine(bias: g.FloatArray, threshold: float, unit: float) -> bool:
    return threshold * unit >= FINE or alike(np.rint(bias * unit), bias * unit)


def _fewest_wrong(
    state: QuantizerState, inputs: Inputs, real: RealCell, found: list[Fitted]
) -> Fitted:
    """The integers nearest to what the float layer makes of the integers that it receives."""
    if state.lead is None or len(found) == 1:
        return found[0]
    op = inputs.node.op
    assert isinstance(op, g.LIF)
    v = np.zeros((*state.lead, state.size(inputs.node.name))) + real.bias_i + real.bias_v
    for i, w in enumerate(real.weights):
        v = v + real_drive(state, inputs, i, w)
    target = np.rint(np.clip(v / real.threshold, 0, op.most))

    def wrong(f: Fitted) -> int:
        made = inputs.made(f.mantissas, f.exponents)
        return int(np.abs(_sent(state, inputs, f, made, state.sent) - target).sum())

    return min(found, key=wrong)


def _sent(
    state: QuantizerState,
    inputs: Inputs,
    fitted: Fitted,
    made: list[p.Projection],
    values: Mapping[str, Values],
) -> IntArray:
    total: Any = sum((drive(state, j, values) for j in made), state.zeros(inputs.node))
    counts: IntArray = fitted.neuron.count(total + fitted.neuron.bias.reshape(-1))
    return counts
