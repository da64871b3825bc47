"""Membranes that never fire and are read out: an LI population, real values on a scale.

    i <- keep_i i + sum_w weights_w . s_w + bias_i,  v <- keep_v v + i + bias_v,  v is sent

Without a current both biases are the population's own. With one, bias_i comes from a neuron that
always fires, and what v rests at never travels: the reader adds it, as with a stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from ...ground.errors import UnsupportedError
from ...ir import graph as g
from ...ir import program as p
from ...ir.bound import Bound
from ...ir.carried import Constant
from ...ir.connections import value_bounds
from ...ir.neurons.leaky import membrane_bound
from ...ir.ranges import SPIKES, Range
from ...ir.record import LayerRecord
from ...ir.wires import target_size, wires_into
from .cells.draft import ONE, add_helper
from .fit.lif import COARSER, bias_integers
from .fit.mantissa import dead_weights, exact_gain, largest_gain, mantissas, weight_error
from .fit.terms import constant_terms
from .fit.ties import alike
from .state.mantissas import Mantissas
from .state.memory import memory_bits
from .state.quantizer_state import Inputs, QuantizerState, Stream, drive, inputs_of, real_drive


@dataclass(frozen=True, eq=False)
class Real:
    """One step in real numbers, what multiplies the input already in the weights."""

    keep_i: float
    keep_v: float
    weights: tuple[g.FloatArray, ...]
    bias: g.FloatArray
    rest: float

    @property
    def current(self) -> bool:
        """Whether a current stays from step to step."""
        return self.keep_i > 0

    def grown(self, timesteps: int) -> tuple[float, float]:
        """The largest i and v that inputs of at most 1 at every step add up to in a sample."""
        i = v = 0.0
        for _ in range(timesteps):
            i = self.keep_i * i + 1
            v = self.keep_v * v + i
        return i, v

    def run(self, x: g.FloatArray) -> g.FloatArray:
        """v [K, T, n] of what arrives, biases included [K, T, n]."""
        i = v = np.zeros_like(x[:, 0])
        out = np.empty_like(x)
        for t in range(x.shape[1]):
            i = self.keep_i * i + x[:, t]
            v = self.keep_v * v + i
            out[:, t] = v
        return out


@dataclass(frozen=True, eq=False)
class Fitted:
    """Integers that leave no register. unit: of a_in per 1.0 of v."""

    mantissas: Mantissas
    exponents: tuple[int, ...]
    unit: float


def add_membrane(state: QuantizerState, node: g.Node) -> None:
    """An LI population for an `LI`, or for an `Integrator` of real values.

    Raises UnsupportedError: SFX-E227 a start of its own, SFX-E311 no scale fits.
    """
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    real = _real(node, inputs)
    fitted = _fit(state, inputs, real)
    if fitted is None:
        raise UnsupportedError(
            "SFX-E311",
            "the sum of so many inputs over the steps leaves the registers even with the coarsest "
            "weights",
            where=node.module or node.name,
            hint="calibrate on data, use fewer steps, or place a spiking neuron before it",
        )
    made = inputs.made(fitted.mantissas, fitted.exponents)
    inputs.note(state, fitted.mantissas, made, real.weights)
    neuron, exact = _neuron(state, real, fitted, node)
    made += _constants(state, node, real, fitted)
    steps, widths = state.graph.timesteps, state.arithmetic
    arriving = _arriving(state, node, made)
    own = np.broadcast_to(neuron.bias, node.shape or (1,)).ravel()
    bound = membrane_bound(neuron, own, arriving, steps, widths)
    low, high = int(bound.low.min(initial=0)), int(bound.high.max(initial=0))
    scale = fitted.unit * (1 << INPUT_SHIFT)
    state.streams[node.name] = Stream(scale, np.full(target_size(node), real.rest))
    state.classes[node.name] = Range(low, high, True)
    shape = node.shape or (1,)
    state.populations.append(p.Population(node.name, shape, neuron, low, high, -1, node.module))
    state.projections.extend(made)
    error = weight_error(real.weights, fitted.mantissas)
    record = LayerRecord(
        node.name,
        scale,
        state.bits_of(node).used,
        exact and error == 0.0 and min(fitted.exponents, default=0) >= 0,
        fitted.mantissas.clipped,
        error,
        0.0,
        _decay_error(state, real, neuron),
        dead=dead_weights(real.weights, fitted.mantissas),
        memory_bits=memory_bits(made, widths),
        search="nearest",
    )
    if state.lead is not None:
        sent, cut = _run(state, node, neuron, made)
        state.sent[node.name] = sent
        record = replace(record, saturations=cut)
    state.records.append(record)


def _real(node: g.Node, inputs: Inputs) -> Real:
    op = node.op
    if isinstance(op, g.Integrator):
        gain, keep_i, keep_v, rest, start = op.gain, 0.0, 1.0, 0.0, 0.0
    else:
        assert isinstance(op, g.LI)
        gain = op.decay * op.gain * op.syn * op.w_in
        keep_i, keep_v, rest, start = 1 - op.syn, 1 - op.decay, op.leak, op.start
    if start != rest and keep_v > 0:
        raise UnsupportedError(
            "SFX-E227",
            f"the membrane starts at {start:g} and rests at {rest:g}",
            where=node.module or node.name,
            hint="a membrane that is read out starts where it rests (NIR files: v_leak 0, or "
            "--nir-convention norse)",
        )
    weights = tuple(w * gain for w in inputs.weights)
    return Real(keep_i, keep_v, weights, np.asarray(inputs.bias * gain), rest)


def _fit(state: QuantizerState, inputs: Inputs, real: Real) -> Fitted | None:
    """The finest scale at which nothing provably leaves 24 bits; the membrane, which saturates, on
    calibration data with a margin, where there are any and proofs alone are not asked for.
    """
    bits, (least, most) = state.bits_of(inputs.node), state.arithmetic.weight_exp
    gain = exact_gain(real.weights, bits) or largest_gain(real.weights, bits)
    reached = _seen(state, inputs, real)
    for _ in range(COARSER):
        m = mantissas(real.weights, gain, bits)
        ends = inputs.bounds(state, m)
        low, high = float(np.min(ends[0], initial=0)), float(np.max(ends[1], initial=0))
        lowest, highest = least + max(m.headroom, default=0), most + min(m.headroom, default=0)
        for exponent in range(highest, lowest - 1, -1):
            unit = 2.0**exponent
            exponents = tuple(exponent - headroom for headroom in m.headroom)
            floors = sum(e < 0 for e in exponents)  # each shifted sum loses less than 1
            bottom, top = int(np.floor(low * unit)) - floors, int(np.ceil(high * unit))
            if _fits(state, real, gain * unit, max(-bottom, top), reached):
                return Fitted(m, exponents, gain * unit)
        gain /= 2
    return None


def _fits(
    state: QuantizerState, real: Real, unit: float, largest: int, reached: float | None
) -> bool:
    """Whether inputs of at most `largest` leave no register at this scale."""
    widths, steps = state.arithmetic, state.graph.timesteps
    bias = float(np.abs(real.bias).max(initial=0.0)) * unit
    grown_i, grown_v = real.grown(steps)
    # the two terms of a constant are bounded apart
    arriving = largest + (np.ceil(bias) + widths.weight_limit if real.current and bias else 0)
    room = (widths.state_limit - 2 * steps) / (1 << INPUT_SHIFT)
    within = (
        arriving < widths.input_limit
        and (arriving * grown_i if real.current else arriving) < room
        and (real.current or bias * (1 << INPUT_SHIFT) <= widths.largest_bias)
    )
    most = (arriving + (0 if real.current else bias)) * grown_v
    if reached is not None:
        most = min(most, reached * unit)
    return bool(within and most < room)


def _seen(state: QuantizerState, inputs: Inputs, real: Real) -> float | None:
    """The largest |v| on the calibration data with the margin; None where it is not asked for."""
    if state.lead is None or state.options.proved:
        return None
    x = np.zeros((*state.lead, target_size(inputs.node))) + real.bias
    for i, w in enumerate(real.weights):
        x = x + real_drive(state, inputs, i, w)
    largest = float(np.abs(real.run(x)).max(initial=0.0))
    return largest * (1 + state.options.range_margin / 100) if largest else None


def _neuron(state: QuantizerState, real: Real, fitted: Fitted, node: g.Node) -> tuple[p.LI, bool]:
    """The neurons, and whether decays and bias are exact."""
    widths = state.arithmetic
    unity, full = widths.decay_unity, widths.full_decay
    du, dv = (full - int(np.rint(real.keep_i * unity))), unity - int(np.rint(real.keep_v * unity))
    du, dv = max(du, -1), min(dv, full)
    wanted = np.zeros(1) if real.current else real.bias * fitted.unit * (1 << INPUT_SHIFT)
    mant, exp = bias_integers(wanted, widths)
    whole = bool(alike(mant << exp, wanted)) and not real.current and real.keep_v in (0.0, 1.0)
    shaped = mant.reshape(node.shape or (1,)) if mant.any() else np.zeros((), np.int64)
    return p.LI(du, dv, shaped, exp if mant.any() else 0), whole and (dv == 0)


def _decay_error(state: QuantizerState, real: Real, neuron: p.LI) -> float:
    """The larger one of what the two decays are off."""
    unity = state.arithmetic.decay_unity
    off_i = abs((neuron.du + 1) / unity - (1 - real.keep_i)) if real.current else 0.0
    return max(off_i, abs(neuron.dv / unity - (1 - real.keep_v)))


def _constants(
    state: QuantizerState, node: g.Node, real: Real, fitted: Fitted
) -> list[p.Projection]:
    """What a bias adds to the current at every step."""
    whole = np.rint(real.bias * fitted.unit).astype(np.int64)
    if not real.current or not whole.any():
        return []
    add_helper(ONE, state.arithmetic, state.populations, state.projections)
    names = [f"{ONE}->{node.name}", *(f"{ONE}->{node.name}#{i}" for i in range(1, 9))]
    terms = constant_terms(whole, state.arithmetic)
    made = [
        p.Projection(name, ONE, node.name, p.Dense(t.weight.reshape(-1, 1)), "a_in", t.exponent)
        for name, t in zip(names, terms, strict=False)
    ]
    state.notes.constants.append(Constant(node.name, tuple(j.name for j in made), fitted.unit))
    return made


def _arriving(state: QuantizerState, node: g.Node, made: Sequence[p.Projection]) -> Bound:
    """What each neuron can receive, as the Program is checked: projections bounded apart."""
    low = high = np.zeros(target_size(node), np.int64)
    for j in made:
        ends, size = (SPIKES, 1) if j.pre == ONE else (state.classes[j.pre], state.size(j.pre))
        least, most = value_bounds(j, size, low.size, int(ends.low), int(ends.high))
        low = low + scale_exponent(least, j.weight_exp)
        high = high + scale_exponent(most, j.weight_exp)
    return Bound(low, high)


def _run(
    state: QuantizerState, node: g.Node, neuron: p.LI, made: Sequence[p.Projection]
) -> tuple[IntArray, int]:
    """What the population sends on the calibration data, and how often it saturates."""
    widths = state.arithmetic
    a = state.zeros(node)
    for j in made:
        if j.pre == ONE:
            a = a + (j.connection.weights.ravel() << j.weight_exp)
        else:
            a = a + drive(state, j)
    bias = np.broadcast_to(neuron.bias, node.shape or (1,)).ravel()
    u = v = np.zeros((len(a), a.shape[2]), np.int64)
    sent, cut = np.empty_like(a), 0
    for t in range(a.shape[1]):
        u = widths.decayed(u, widths.full_decay - neuron.du) + (a[:, t] << INPUT_SHIFT)
        free = widths.decayed(v, widths.decay_unity - neuron.dv) + u + bias
        v = widths.saturate_membrane(free)
        cut += int(np.count_nonzero(v != free))
        sent[:, t] = v
    return sent, cut
