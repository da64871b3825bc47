"""Populations whose weights are rounded: LIF and IF, relays of real values, the read-out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.errors import UnsupportedError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.ranges import Range
from sfx.toolchain.ir.wires import wires_into
from sfx.toolchain.quantize.build import Build, Inputs, Stream, drive, inputs_of
from sfx.toolchain.quantize.lif import COARSER, QuantizedLIF, RealLIF, best, simulate
from sfx.toolchain.quantize.mantissa import (
    Mantissas,
    exact_gain,
    is_exact,
    largest_gain,
    mantissas,
    weight_error,
)
from sfx.toolchain.quantize.record import LayerRecord
from sfx.toolchain.quantize.values import Values

GROWN_LIMIT = 1 << 22
"""Payload of a sum of streams, which keeps their scale: a max-pool's differences add up."""
STREAM_LIMIT = 1 << 16
"""A stream's payload stays below it, so that a LIF's input (17 bits, semantics 2.1) can hold it."""
SUM_LIMIT = 1 << 31
"""Sums are 32-bit before the exponent shifts them (semantics 3.1)."""
LOWEST_EXPONENT = -8
OUTPUT_LIMIT = 1 << 23
"""Graded payloads are 24-bit signed."""


def add_lif(build: Build, node: g.Node) -> None:
    """A LIF or IF population: choose the scale on the data, record what it costs."""
    inputs = inputs_of(build, node, wires_into(build.graph, node))
    real = _real_lif(node, inputs)
    target = build.target(node.name)

    def bound(m: Mantissas) -> float:
        return float(np.abs(inputs.bounds(build, m)).max())

    def spikes(q: QuantizedLIF, values: Mapping[str, Values]) -> IntArray:
        current = build.zeros(node)
        for j in inputs.made(q.mantissas, q.exponents):
            current = current + drive(build, j, values)
        return simulate(q.neuron, current)

    def wrong(q: QuantizedLIF) -> float:
        assert target is not None
        return float(np.count_nonzero(spikes(q, build.sent) != target))

    q = best(
        real,
        bound,
        build.graph.timesteps,
        node.shape,
        node.module or node.name,
        None if target is None else wrong,
    )
    build.populations.append(p.Population(node.name, node.shape, q.neuron, 0, 1, -1, node.module))
    build.projections.extend(inputs.made(q.mantissas, q.exponents))
    agreement = cumulative = rate = wrong_share = None
    if target is not None:
        mine = spikes(q, build.sent)
        alone = spikes(q, {w.source: build.as_sent(w.source) for w in inputs.wires})
        build.sent[node.name] = mine.astype(np.uint8)
        agreement, cumulative = float(np.mean(alone == target)), float(np.mean(mine == target))
        rate = float(target.mean())
        wrong_share = float(np.count_nonzero(mine != target) / max(int(target.sum()), 1))
    build.records.append(
        LayerRecord(
            node.name,
            q.scale,
            8,
            q.exact,
            q.mantissas.clipped,
            weight_error(real.weights, q.mantissas),
            q.threshold_error,
            q.decay_error,
            agreement,
            cumulative,
            rate,
            wrong_share,
        )
    )


def _real_lif(node: g.Node, inputs: Inputs) -> RealLIF:
    """The population in the form v <- (1 - decay) v + W s + b, threshold, reset to 0."""
    op = node.op
    assert isinstance(op, g.LIF | g.IF)
    where = node.module or node.name
    if op.subtract or op.reset != 0:
        kind = "a reset by subtraction" if op.subtract else f"a reset to {op.reset:g}"
        hint = "train with a hard reset to 0"
        raise UnsupportedError("SFX-E307", f"{kind} is not supported yet", where=where, hint=hint)
    if op.threshold < 0:
        what = f"the threshold {op.threshold:g} is negative; it must be at least 0"
        raise UnsupportedError("SFX-E309", what, where=where)
    if isinstance(op, g.LIF):
        gain, rate, leak = op.decay * op.gain, op.decay, op.decay * op.leak
    else:
        gain, rate, leak = op.gain, 0.0, 0.0
    weights = tuple(w * gain for w in inputs.weights)
    return RealLIF(rate, op.threshold, weights, inputs.bias * gain + leak)


def add_stream(build: Build, node: g.Node) -> None:
    """A relay of real values (membrane residual): one integer scale for all its producers.

    A producer that is a stream itself keeps its scale up to a power of two, so that adding to a
    residual stream never rounds what is in it already.
    """
    inputs = inputs_of(build, node, wires_into(build.graph, node))
    before = [build.streams[w.source].scale for w in inputs.wires if w.source in build.streams]
    gain = exact_gain(inputs.weights) or largest_gain(inputs.weights)
    limit = STREAM_LIMIT
    if before and is_exact(inputs.weights, before[0]):
        # Elementwise sums (residuals, a max-pool's halves) must not round what they add to; a sum
        # over tokens may, since weights follow and 16 bits are far finer than they are.
        gain, limit = before[0], STREAM_LIMIT if _sums_axes(inputs) else GROWN_LIMIT
    elif before:
        gain = before[0] * 2.0 ** np.floor(np.log2(gain / before[0]))
    payload = _fit_payload(build, inputs, gain, limit)
    if payload is None:
        raise _too_large(inputs, limit)
    m, scale = payload.mantissas, payload.scale
    build.streams[node.name] = Stream(scale, inputs.bias)
    build.classes[node.name] = Range(payload.low, payload.high, True)
    made = inputs.made(m, payload.exponents)
    low, high = int(payload.low), int(payload.high)
    build.populations.append(
        p.Population(node.name, node.shape, p.Graded(), low, high, -1, node.module)
    )
    build.projections.extend(made)
    if build.lead is not None:
        build.sent[node.name] = sum((drive(build, j) for j in made), build.zeros(node))
    error = weight_error(inputs.weights, m)
    exact = error == 0.0 and min(payload.exponents, default=0) >= 0
    build.records.append(LayerRecord(node.name, scale, 8, exact, m.clipped, error, 0.0, 0.0))


def _sums_axes(inputs: Inputs) -> bool:
    return any(w.axes is not None and not w.axes.is_permutation for w in inputs.wires)


def add_relu(build: Build, node: g.Node) -> None:
    """max(a - b, 0) of two streams of one scale: half of a max-pool of currents."""
    inputs = inputs_of(build, node, wires_into(build.graph, node))
    before = [build.streams[w.source].scale for w in inputs.wires if w.source in build.streams]
    gain = before[0] if before else 1.0
    payload = _fit_payload(build, inputs, gain, GROWN_LIMIT)
    exact = is_exact(inputs.weights, gain) and np.allclose(inputs.bias, 0, atol=1e-9)
    if payload is None or not exact:
        raise UnsupportedError(
            "SFX-E312",
            "the values that this max compares do not share one scale and bias",
            where=node.module or node.name,
            hint="pool the output of one layer, or pool spikes",
        )
    if before:
        build.streams[node.name] = Stream(payload.scale, np.zeros_like(inputs.bias))
    high = int(max(payload.high, 0))
    build.classes[node.name] = Range(0, high, True)
    made = inputs.made(payload.mantissas, payload.exponents)
    build.populations.append(
        p.Population(node.name, node.shape, p.GradedReLU(), 0, high, -1, node.module)
    )
    build.projections.extend(made)
    if build.lead is not None:
        total = sum((drive(build, j) for j in made), build.zeros(node))
        build.sent[node.name] = np.maximum(total, 0)


def add_output(build: Build, node: g.Node) -> p.Readout:
    """The read-out: a graded population whose sums over T the host turns into real values."""
    assert isinstance(node.op, g.Output)
    inputs = inputs_of(build, node, wires_into(build.graph, node))
    gain = exact_gain(inputs.weights) or largest_gain(inputs.weights)
    payload = _fit_payload(build, inputs, gain, OUTPUT_LIMIT)
    if payload is None:
        raise _too_large(inputs, OUTPUT_LIMIT)
    m, scale = payload.mantissas, payload.scale
    shape, low, high = node.shape or (1,), int(payload.low), int(payload.high)
    build.populations.append(p.Population(node.name, shape, p.Graded(), low, high, -1, node.module))
    build.projections.extend(inputs.made(m, payload.exponents))
    steps = build.graph.timesteps
    offset = np.rint(inputs.bias * scale * steps)
    if node.op.reduce == "mean":
        scale *= steps
    error = weight_error(inputs.weights, m)
    build.records.append(LayerRecord(node.name, scale, 8, error == 0.0, m.clipped, error, 0.0, 0.0))
    return p.Readout(node.name, scale, tuple(int(x) for x in offset))


@dataclass(frozen=True, eq=False)
class _Payload:
    """Mantissas and exponents whose sums stay in [low, high]; scale: sent integers per 1.0."""

    mantissas: Mantissas
    exponents: tuple[int, ...]
    scale: float
    low: float
    high: float


def _fit_payload(build: Build, inputs: Inputs, gain: float, limit: int) -> _Payload | None:
    """The finest scale at or below `gain` whose sums provably stay below `limit` in magnitude.

    Exponents are 0 or more where that fits, so that no sum is rounded. Else they go down first,
    which rounds the sum but keeps the weights, and then the gain.
    """
    for _ in range(COARSER):
        m = mantissas(inputs.weights, gain)
        ends = inputs.bounds(build, m)
        low, high = float(np.min(ends[0], initial=0)), float(np.max(ends[1], initial=0))
        room = max(m.headroom, default=0)
        if max(-low, high) * 2.0**room >= SUM_LIMIT:
            gain /= 2
            continue
        for exponent in range(room, LOWEST_EXPONENT + room - 1, -1):
            unit = 2.0**exponent
            if max(-low, high) * unit < limit:
                exponents = tuple(exponent - room for room in m.headroom)
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
