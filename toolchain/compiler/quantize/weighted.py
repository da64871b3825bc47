"""Populations whose weights are rounded: LIF and IF, relays of real values, the read-out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ground.arithmetic import Arithmetic
from ...ground.errors import UnsupportedError
from ...ir import graph as g
from ...ir import program as p
from ...ir.ranges import Range
from ...ir.record import LayerRecord
from ...ir.wires import wires_into
from .fit.lif import (
    COARSER,
    Form,
    NoScale,
    QuantizedLIF,
    RealLIF,
    best,
    run_lif,
    simulate,
)
from .fit.mantissa import (
    dead_weights,
    exact_gain,
    is_exact,
    largest_gain,
    weight_error,
)
from .fit.no_scale import Fits, no_scale
from .fit.payload import InTwo, Nearest, mean_error, rounding
from .fit.problem import Problem
from .fit.real import RealCell, real_cell
from .fit.search import fit
from .fit.ties import alike
from .readout import read_out
from .state.mantissas import Mantissas, WeightBits
from .state.matched import fields_of
from .state.memory import memory_bits
from .state.quantizer_state import Inputs, QuantizerState, Stream, drive, inputs_of
from .state.values import Values

SUM_LIMIT = 1 << 31
"""Sums are 32-bit before the exponent shifts them (semantics 3.1)."""


def grown_limit(widths: Arithmetic) -> int:
    """Payload of a sum of streams, which keeps their scale: a max-pool's differences add up."""
    return widths.payload_limit >> 1


def stream_limit(widths: Arithmetic) -> int:
    """A stream's payload stays below it, so that a LIF's input (17 bits, semantics 2.1) can hold
    it: 2**16 at Loihi's widths.
    """
    return min(widths.input_limit, widths.payload_limit) >> 1


def fine_limit(widths: Arithmetic) -> int:
    """Of a stream that graded membranes alone read: a max-pool adds three of it, each doubled."""
    return widths.payload_limit >> 3


def add_lif(state: QuantizerState, node: g.Node) -> None:
    """A LIF or IF population: choose the integers on the data, record what they cost."""
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    real = _real_lif(node, inputs)
    bits = state.bits_of(node)

    def bound(m: Mantissas) -> float:
        return float(np.abs(inputs.bounds(state, m)).max())

    groups, effort = state.options.groups_of(node), state.options.effort_of(node)
    try:
        q, search = fit(Problem(state, inputs, real, bound, bits, groups, effort))
    except NoScale:
        raise no_scale(state, inputs, real_cell(node, inputs), _fits(inputs, bits)) from None
    made = inputs.made(q.mantissas, q.exponents)
    state.populations.append(p.Population(node.name, node.shape, q.neuron, 0, 1, -1, node.module))
    state.projections.extend(made)
    inputs.note(state, q.mantissas, made, real.weights)
    record = LayerRecord(
        node.name,
        q.scale,
        bits.used,
        q.exact,
        q.mantissas.clipped,
        weight_error(real.weights, q.mantissas),
        q.threshold_error,
        q.decay_error,
        dead=dead_weights(real.weights, q.mantissas),
        memory_bits=memory_bits(made, state.arithmetic),
        search=search,
    )
    target = state.target(node.name)
    if target is not None:
        record = replace(record, **_on_data(state, inputs, q, made, target))
    state.records.append(record)


def _fits(inputs: Inputs, bits: WeightBits) -> Fits:
    """Whether some scale fits the population under other circumstances."""

    def fits(state: QuantizerState, cell: RealCell) -> bool:
        bias = cell.bias_i + cell.bias_v
        real = RealLIF(1 - cell.keep_v, cell.threshold, cell.weights, bias, cell.reached)
        try:
            best(
                real,
                lambda m: float(np.abs(inputs.bounds(state, m)).max()),
                Form(state.graph.timesteps, inputs.node.shape, state.arithmetic),
                None,
                bits,
            )
        except NoScale:
            return False
        return True

    return fits


def _on_data(
    state: QuantizerState,
    inputs: Inputs,
    q: QuantizedLIF,
    made: list[p.Projection],
    target: NDArray[Any],
) -> dict[str, Any]:
    """Fields of the record that compare with the float model's spikes; keeps our own."""

    def current(values: Mapping[str, Values]) -> IntArray:
        return sum((drive(state, j, values) for j in made), state.zeros(inputs.node))

    mine, saturated, wrapped = run_lif(q.neuron, current(state.sent), state.arithmetic)
    before = {w.source: state.as_sent(w.source) for w in inputs.wires}
    alone = simulate(q.neuron, current(before), state.arithmetic)
    state.sent[inputs.node.name] = mine.astype(np.uint8)
    state.listen(inputs.node.name, target, mine)
    return fields_of(target, alone, mine) | {"saturations": saturated, "wraps": wrapped}


def _real_lif(node: g.Node, inputs: Inputs) -> RealLIF:
    """The population in the form v <- (1 - decay) v + W s + b, threshold, reset to 0."""
    cell = real_cell(node, inputs)
    decay = node.op.decay if isinstance(node.op, g.LIF) else 0.0
    bias = cell.bias_i + cell.bias_v
    return RealLIF(decay, cell.threshold, cell.weights, bias, cell.reached)


def add_stream(state: QuantizerState, node: g.Node) -> None:
    """A relay of real values (membrane residual): one integer scale for all its producers.

    A producer that is a stream itself keeps its scale up to a power of two, so that adding to a
    residual stream never rounds what is in it already.
    """
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    before = [state.streams[w.source].scale for w in inputs.wires if w.source in state.streams]
    bits = state.bits_of(node)
    exact_at = exact_gain(inputs.weights, bits)
    gain = exact_at or largest_gain(inputs.weights, bits)
    round_weights: Nearest | InTwo = Nearest(inputs.weights, bits)
    limit = stream_limit(state.arithmetic)
    every_bit = bits.used == bits.held  # nobody asked for fewer
    if before and is_exact(inputs.weights, before[0], bits):
        # Elementwise sums (residuals, a max-pool's halves) must not round what they add to; a sum
        # over tokens may, since weights follow and 16 bits are far finer than they are.
        gain = before[0]
        limit = limit if _sums_axes(inputs) else grown_limit(state.arithmetic)
    elif before:
        gain = before[0] * _power_within(gain / before[0])
    elif state.measuring and every_bit and not exact_at and _only_soft(state.graph, node):
        limit = fine_limit(state.arithmetic)
        round_weights = InTwo(inputs.weights, state.arithmetic)
        gain = round_weights.gain
    payload = _fit_payload(state, inputs, gain, limit, round_weights)
    if payload is None:
        raise _too_large(inputs, limit)
    m, scale = payload.mantissas, payload.scale
    state.streams[node.name] = Stream(scale, inputs.bias)
    state.classes[node.name] = Range(payload.low, payload.high, True)
    made = inputs.made(m, payload.exponents)
    low, high = int(payload.low), int(payload.high)
    state.populations.append(
        p.Population(node.name, node.shape, p.Graded(), low, high, -1, node.module)
    )
    state.projections.extend(made)
    inputs.note(state, m, made)
    if state.lead is not None:
        state.sent[node.name] = sum((drive(state, j) for j in made), state.zeros(node))
    error = weight_error(inputs.weights, m)
    exact = error == 0.0 and min(payload.exponents, default=0) >= 0
    state.records.append(
        LayerRecord(
            node.name,
            scale,
            round_weights.stored,
            exact,
            m.clipped,
            error,
            0.0,
            0.0,
            dead=dead_weights(inputs.weights, m),
            memory_bits=memory_bits(made, state.arithmetic),
            search=round_weights.what,
        )
    )


def _power_within(ratio: float) -> float:
    """The largest power of two at or below a quotient of scales, which float64 has rounded.

    Just below one it is that one: at half of it a weight of one unit would be half a unit, so 0.
    """
    exponent = math.log2(ratio)
    nearest = math.ldexp(1.0, round(exponent))
    return nearest if alike(ratio, nearest) else math.ldexp(1.0, math.floor(exponent))


def _only_soft(graph: g.Graph, node: g.Node) -> bool:
    """All neurons that read the stream subtract their threshold: their membranes are graded."""
    readers = [graph[name] for name, _ in graph.consumers[node.name]]
    return bool(readers) and all(_is_soft(graph, r) for r in readers)


def _is_soft(graph: g.Graph, reader: g.Node) -> bool:
    if isinstance(reader.op, g.LIF | g.IF):
        return reader.op.subtract
    passes_on = isinstance(reader.op, g.Relay | g.ReLU) or not reader.op.neuron
    return passes_on and _only_soft(graph, reader)


def _sums_axes(inputs: Inputs) -> bool:
    return any(w.axes is not None and not w.axes.is_permutation for w in inputs.wires)


def add_relu(state: QuantizerState, node: g.Node) -> None:
    """max(a - b, 0) of two streams of one scale: half of a max-pool of currents."""
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    before = [state.streams[w.source].scale for w in inputs.wires if w.source in state.streams]
    gain = before[0] if before else 1.0
    every, limit = state.every_bit, grown_limit(state.arithmetic)
    payload = _fit_payload(state, inputs, gain, limit, Nearest(inputs.weights, every))
    exact = is_exact(inputs.weights, gain, every) and np.allclose(inputs.bias, 0, atol=1e-9)
    if payload is None or not exact:
        raise UnsupportedError(
            "SFX-E312",
            "the values that this max compares do not share one scale and bias",
            where=node.module or node.name,
            hint="pool the output of one layer, or pool spikes",
        )
    if before:
        state.streams[node.name] = Stream(payload.scale, np.zeros_like(inputs.bias))
    high = int(max(payload.high, 0))
    state.classes[node.name] = Range(0, high, True)
    made = inputs.made(payload.mantissas, payload.exponents)
    state.populations.append(
        p.Population(node.name, node.shape, p.GradedReLU(), 0, high, -1, node.module)
    )
    state.projections.extend(made)
    inputs.note(state, payload.mantissas, made)
    if state.lead is not None:
        total = sum((drive(state, j) for j in made), state.zeros(node))
        state.sent[node.name] = np.maximum(total, 0)


def add_output(state: QuantizerState, node: g.Node) -> p.Readout:
    """The read-out: a graded population whose sums over T the host turns into real values."""
    assert isinstance(node.op, g.Output)
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    bits = state.bits_of(node)
    gain = exact_gain(inputs.weights, bits) or largest_gain(inputs.weights, bits)
    round_weights = rounding(state, inputs, bits)
    limit = state.arithmetic.payload_limit
    payload = _fit_payload(state, inputs, gain, limit, round_weights)
    if payload is None:
        raise _too_large(inputs, limit)
    m, scale = payload.mantissas, payload.scale
    made = inputs.made(m, payload.exponents)
    shape, low, high = node.shape or (1,), int(payload.low), int(payload.high)
    state.populations.append(p.Population(node.name, shape, p.Graded(), low, high, -1, node.module))
    state.projections.extend(made)
    inputs.note(state, m, made)
    steps = state.graph.timesteps
    bias = inputs.bias + mean_error(state, inputs, made, scale)
    readout = read_out(node, bias, scale, steps)
    error = weight_error(inputs.weights, m)
    state.records.append(
        LayerRecord(
            node.name,
            readout.scale,
            bits.used,
            error == 0.0,
            m.clipped,
            error,
            0.0,
            0.0,
            dead=dead_weights(inputs.weights, m),
            memory_bits=memory_bits(made, state.arithmetic),
            search=round_weights.what,
        )
    )
    return readout


@dataclass(frozen=True, eq=False)
class _Payload:
    """Mantissas and exponents whose sums stay in [low, high]; scale: sent integers per 1.0."""

    mantissas: Mantissas
    exponents: tuple[int, ...]
    scale: float
    low: float
    high: float


def _fit_payload(
    state: QuantizerState,
    inputs: Inputs,
    gain: float,
    limit: int,
    round_weights: Callable[[float], Mantissas],
) -> _Payload | None:
    """The finest scale at or below `gain` whose sums provably stay below `limit` in magnitude.

    Exponents are 0 or more where that fits, so that no sum is rounded. Else they go down first,
    which rounds the sum but keeps the weights, and then the gain.
    """
    least, most = state.arithmetic.weight_exp
    for _ in range(COARSER):
        m = round_weights(gain)
        ends = inputs.bounds(state, m)
        low, high = float(np.min(ends[0], initial=0)), float(np.max(ends[1], initial=0))
        headroom = max(m.headroom, default=0)
        if max(-low, high) * 2.0**headroom >= SUM_LIMIT:
            gain /= 2
            continue
        highest = min(headroom, most + min(m.headroom, default=0))
        for exponent in range(highest, least + headroom - 1, -1):
            unit = 2.0**exponent
            if max(-low, high) * unit < limit:
                exponents = tuple(exponent - headroom for headroom in m.headroom)
                floors = sum(e < 0 for e in exponents)  # each shifted sum loses less than 1
                bottom, top = float(np.floor(low * unit)) - floors, float(np.ceil(high * unit))
                return _Payload(m, exponents, gain * unit, bottom, top)
        gain /= 2
    return None


def _too_large(inputs: Inputs, limit: int) -> UnsupportedError:
    return UnsupportedError(
        "SFX-E311",
        f"the sum of so many inputs leaves {limit} even with the coarsest weights",
        where=inputs.node.module or inputs.node.name,
        hint="place a spiking neuron before the sum",
    )
