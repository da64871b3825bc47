"""The float graph in neuron form becomes the integer Program: float to integer in one place.

Populations are quantized in topological order. With calibration data each one is fitted on the
integer spikes that the already quantized populations before it really send, so later layers see
the earlier layers' errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.errors import UnsupportedError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.connections import matrix, value_bounds
from sfx.toolchain.ir.evaluate import run as evaluate
from sfx.toolchain.ir.ranges import Range, ranges
from sfx.toolchain.passes.wires import Wire, target_size, wires_into
from sfx.toolchain.quantize.accumulator import accumulator
from sfx.toolchain.quantize.lif import QuantizedLIF, RealLIF, best, simulate
from sfx.toolchain.quantize.mantissa import (
    Mantissas,
    exact_gain,
    largest_gain,
    mantissas,
    weight_error,
)
from sfx.toolchain.quantize.record import LayerRecord

Progress = Callable[[int, int], None]
COUNT_BITS = 8
"""Payload of an input that carries event counts (design: graded input, 8 bit)."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """An unbalanced Program and the record of what rounding did."""

    program: p.Program
    records: tuple[LayerRecord, ...]


@dataclass(eq=False)
class _Build:
    """Everything the quantizer has decided so far. Private to one call of `quantize`."""

    graph: g.Graph
    classes: dict[str, Range]
    real: dict[str, g.FloatArray]
    """Float outputs on the calibration data, by node; empty without data."""
    sent: dict[str, IntArray]
    """Integer outputs of the quantized populations on the same data [K, T, n]."""
    populations: list[p.Population] = field(default_factory=list)
    projections: list[p.Projection] = field(default_factory=list)
    records: list[LayerRecord] = field(default_factory=list)

    def size(self, name: str) -> int:
        return target_size(self.graph[name])


def quantize(
    graph: g.Graph, calibration: IntArray | None = None, progress: Progress | None = None
) -> Quantized:
    """Integers for every population of `graph` (neuron form).

    calibration: events [K, T, *input shape]; without it scales follow from the weights alone.
    Raises UnsupportedError (SFX-E306..E312) for what integers cannot express.
    """
    counts = 1 if calibration is None else int(calibration.max(initial=0))
    input_high = 1 if counts <= 1 else (1 << COUNT_BITS) - 1
    neurons = [n for n in graph if n.op.neuron or isinstance(n.op, g.Output)]
    real: dict[str, g.FloatArray] = {}
    sent: dict[str, IntArray] = {}
    if calibration is not None:
        real = evaluate(graph, calibration.astype(np.float64), keep=[n.name for n in neurons])
    build = _Build(graph, ranges(graph, input_high), real, sent)
    readout: p.Readout | None = None
    for done, node in enumerate(neurons):
        if isinstance(node.op, g.Output):
            readout = _output(build, node)
        else:
            _population(build, node, calibration, input_high)
        if progress is not None:
            progress(done + 1, len(neurons))
    if readout is None:
        raise UnsupportedError("SFX-E306", "the model has no output", where=graph.name)
    program = p.Program(
        tuple(build.populations),
        tuple(build.projections),
        graph.timesteps,
        readout,
        graph.dt,
        graph.name,
    )
    return Quantized(program, tuple(build.records))


def _population(build: _Build, node: g.Node, calibration: IntArray | None, input_high: int) -> None:
    """Append the population(s) and projections of one neuron node."""
    match node.op:
        case g.Input():
            bits = 0 if input_high == 1 else COUNT_BITS
            build.populations.append(
                p.Population(node.name, node.shape, p.Input(bits), 0, input_high, -1, node.module)
            )
            if calibration is not None:
                flat = calibration.reshape(*calibration.shape[:2], -1)
                build.sent[node.name] = flat.astype(np.int64)
        case g.LIF() | g.IF():
            _lif(build, node)
        case g.Threshold():
            _whole(build, node, _stateless(node))
        case g.Relay():
            _whole(build, node, p.Graded())
        case g.Product():
            _whole(build, node, p.Product())
        case g.Integrator():
            _integrator(build, node)
        case _:
            raise UnsupportedError(
                "SFX-E306", f"no neuron program for {type(node.op).__name__}", where=node.name
            )


def _stateless(node: g.Node) -> p.LIF:
    """Fires iff the whole-number input exceeds the threshold; du = dv = 4095 leave nothing.

    |a_in| << 6 stays below 4096 (checked with the Program), so trunc(v * 1 / 4096) = 0.
    """
    assert isinstance(node.op, g.Threshold)
    return p.LIF(du=4095, dv=4095, vth=int(np.floor(node.op.threshold)), reset=False)


# --- populations that compute on whole numbers -----------------------------------------------


def _whole(build: _Build, node: g.Node, neuron: p.NeuronProgram) -> None:
    """A population whose inputs are exact: unit or whole weights, nothing to round."""
    wires = wires_into(build.graph, node)
    made = [
        _projection(build, w, node, neuron.ports[w.port], _whole_weights(w, node), 0) for w in wires
    ]
    if any(np.any(w.bias) for w in wires):
        raise _not_whole(node, "a bias")
    low, high = build.classes[node.name].low, build.classes[node.name].high
    build.populations.append(
        p.Population(node.name, node.shape, neuron, int(low), int(high), -1, node.module)
    )
    build.projections.extend(made)
    if build.real:
        sums = {
            port: np.zeros((*_kt(build), target_size(node)), np.int64) for port in neuron.ports
        }
        for j in made:
            sums[j.port] += _drive(build, j, node)
        build.sent[node.name] = _send(neuron, sums)


def _send(neuron: p.NeuronProgram, sums: dict[str, IntArray]) -> IntArray:
    match neuron:
        case p.LIF():
            spikes: IntArray = (sums["a_in"] > neuron.vth).astype(np.int64)
            return spikes
        case p.Product():
            product: IntArray = sums["a_in1"] * sums["a_in2"]
            return product
        case _:
            return sums["a_in"]


def _whole_weights(wire: Wire, node: g.Node) -> IntArray:
    real = np.asarray(wire.factor) if wire.layer is None else wire.layer.weight * wire.factor
    whole: IntArray = np.rint(real).astype(np.int64)
    if not np.array_equal(whole, real):
        raise _not_whole(node, f"weights on the path from {wire.source}")
    return whole


def _not_whole(node: g.Node, what: str) -> UnsupportedError:
    return UnsupportedError(
        "SFX-E308",
        f"this sum of spikes has {what} that are not whole numbers",
        where=node.module or node.name,
        hint="move the scale behind the sum, into the next weights or the neuron's gain",
    )


def _integrator(build: _Build, node: g.Node) -> None:
    """NIR's I on whole numbers: an accumulator that a clock clears at each sample's end."""
    assert isinstance(node.op, g.Integrator)
    if node.op.gain != 1.0:
        raise _not_whole(node, f"an integration gain of {node.op.gain:g}, weights")
    wires = wires_into(build.graph, node)
    high = build.classes[node.name]
    made = accumulator(node, int(high.low), int(high.high))
    feeds = [(_whole_weights(w, node), w) for w in wires]
    if not any(isinstance(q.neuron, p.Clock) for q in build.populations):
        build.populations.append(made.clock)
    build.populations.extend((made.memory, made.clear))
    for weight, w in feeds:
        j = _projection(build, w, node, "a_in", weight, 0)
        build.projections.append(j)
        build.projections.append(made.to_clear(j))
    build.projections.extend(made.loops)
    if build.real:
        total = sum(
            (
                _drive(build, j, node)
                for j in build.projections
                if j.post == node.name and not j.lag
            ),
            np.zeros((*_kt(build), target_size(node)), np.int64),
        )
        build.sent[node.name] = np.cumsum(total, axis=1)


# --- populations that are rounded ------------------------------------------------------------


def _lif(build: _Build, node: g.Node) -> None:
    """A LIF or IF population: choose the scale, record what it costs."""
    wires = wires_into(build.graph, node)
    real = _real_lif(node, wires)
    names = [w.source for w in wires]
    protos = [_projection(build, w, node, "a_in", np.zeros((), np.int64), 0) for w in wires]

    def made(q: QuantizedLIF) -> list[p.Projection]:
        parts = zip(protos, wires, q.mantissas.weights, q.exponents, strict=True)
        return [_with_weights(j, w, m, e) for j, w, m, e in parts]

    def bound(m: Mantissas) -> float:
        total = np.zeros((2, target_size(node)))
        for j, w, ints, room in zip(protos, wires, m.weights, m.headroom, strict=True):
            source = build.classes[w.source]
            ends = value_bounds(
                _with_weights(j, w, ints, 0),
                build.size(w.source),
                target_size(node),
                int(source.low),
                int(source.high),
            )
            total += np.asarray(ends) * 2.0**-room
        return float(np.abs(total).max())

    def current(q: QuantizedLIF, values: dict[str, IntArray]) -> IntArray:
        return sum(
            (_drive(build, j, node, values) for j in made(q)),
            np.zeros((*_kt(build), target_size(node)), np.int64),
        )

    target = build.real[node.name].reshape((*_kt(build), -1)) if build.real else None

    def wrong(q: QuantizedLIF) -> float:
        assert target is not None
        return float(np.abs(simulate(q.neuron, current(q, build.sent)) - target).sum())

    q = best(
        real,
        bound,
        build.graph.timesteps,
        node.shape,
        node.module or node.name,
        None if target is None else wrong,
    )
    build.populations.append(p.Population(node.name, node.shape, q.neuron, 0, 1, -1, node.module))
    build.projections.extend(made(q))
    agreement = cumulative = rate = wrong_share = None
    if target is not None:
        mine = simulate(q.neuron, current(q, build.sent))
        build.sent[node.name] = mine
        floats = {
            s: np.rint(build.real[s]).astype(np.int64).reshape((*_kt(build), -1)) for s in names
        }
        alone = simulate(q.neuron, current(q, floats))
        agreement, cumulative = float(np.mean(alone == target)), float(np.mean(mine == target))
        rate = float(target.mean())
        wrong_share = float(np.abs(mine - target).sum() / max(target.sum(), 1))
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


def _real_lif(node: g.Node, wires: list[Wire]) -> RealLIF:
    """The population in the form v <- (1 - decay) v + W s + b, threshold, reset to 0."""
    op = node.op
    assert isinstance(op, g.LIF | g.IF)
    if op.subtract or op.reset != 0:
        kind = "a reset by subtraction" if op.subtract else f"a reset to {op.reset:g}"
        raise UnsupportedError(
            "SFX-E307",
            f"{kind} is not supported yet",
            where=node.module or node.name,
            hint="train with a hard reset to 0",
        )
    if op.threshold < 0:
        raise UnsupportedError(
            "SFX-E309",
            f"the threshold {op.threshold:g} is negative; it must be at least 0",
            where=node.module or node.name,
        )
    if isinstance(op, g.LIF):
        gain, rate, leak = op.decay * op.gain, op.decay, op.decay * op.leak
    else:
        gain, rate, leak = op.gain, 0.0, 0.0
    weights = tuple(_real_weights(w) * gain for w in wires)
    bias = sum((w.bias for w in wires), np.zeros(target_size(node))) * gain + leak
    return RealLIF(rate, op.threshold, weights, np.asarray(bias, dtype=np.float64))


def _real_weights(wire: Wire) -> g.FloatArray:
    weight = np.ones(1) if wire.layer is None else wire.layer.weight
    return np.asarray(weight * wire.factor, dtype=np.float64)


def _output(build: _Build, node: g.Node) -> p.Readout:
    """The read-out: a graded population whose sums over T the host turns into real values."""
    assert isinstance(node.op, g.Output)
    wires = wires_into(build.graph, node)
    real = [_real_weights(w) for w in wires]
    m = mantissas(real, exact_gain(real) or largest_gain(real))
    exponent = max(m.headroom, default=0)
    made = [
        _with_weights(
            _projection(build, w, node, "a_in", np.zeros((), np.int64), 0), w, ints, exponent - room
        )
        for w, ints, room in zip(wires, m.weights, m.headroom, strict=True)
    ]
    low, high = np.zeros(target_size(node)), np.zeros(target_size(node))
    for j in made:
        source = build.classes[j.pre]
        ends = value_bounds(
            j, build.size(j.pre), target_size(node), int(source.low), int(source.high)
        )
        low += ends[0] * 2.0**j.weight_exp
        high += ends[1] * 2.0**j.weight_exp
    shape = node.shape or (1,)
    build.populations.append(
        p.Population(node.name, shape, p.Graded(), int(low.min()), int(high.max()), -1, node.module)
    )
    build.projections.extend(made)
    scale = m.gain * 2.0**exponent
    bias = np.asarray(sum((w.bias for w in wires), np.zeros(target_size(node))))
    steps = build.graph.timesteps
    if node.op.reduce == "mean":
        scale *= steps
        offset = np.rint(bias * scale)
    else:
        offset = np.rint(bias * scale * steps)
    error = weight_error(real, m)
    build.records.append(LayerRecord(node.name, scale, 8, error == 0.0, m.clipped, error, 0.0, 0.0))
    return p.Readout(node.name, scale, tuple(int(x) for x in offset))


# --- wires to projections --------------------------------------------------------------------


def _projection(
    build: _Build, wire: Wire, node: g.Node, port: str, weight: IntArray, exponent: int
) -> p.Projection:
    """The projection of one wire with integer weights; names stay unique by a count."""
    base = f"{wire.source}->{node.name}" + ("" if port == "a_in" else f":{port}")
    taken = {j.name for j in build.projections}
    same = sum(1 for name in taken if name == base or name.startswith(f"{base}#"))
    proto = p.Projection(
        base if not same else f"{base}#{same}",
        wire.source,
        node.name,
        p.Structured((), ()),
        port,
        exponent,
    )
    return _with_weights(proto, wire, weight, exponent)


def _with_weights(proto: p.Projection, wire: Wire, weight: IntArray, exponent: int) -> p.Projection:
    layer = wire.layer
    connection: p.Connection
    if layer is None:
        assert wire.axes is not None
        connection = wire.axes.structured(int(weight.ravel()[0]))
        return p.Projection(
            proto.name, proto.pre, proto.post, connection, proto.port, exponent, proto.lag
        )
    if isinstance(layer, g.Linear):
        connection = p.Dense(weight)
    else:
        connection = p.Conv2d(
            weight,
            _chw(wire.in_shape),
            _chw(wire.out_shape),
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.groups,
        )
    return p.Projection(
        proto.name,
        proto.pre,
        proto.post,
        connection,
        proto.port,
        exponent,
        proto.lag,
        0,
        wire.pre_view,
        wire.post_view,
    )


def _chw(shape: g.Shape) -> tuple[int, int, int]:
    channels, height, width = shape
    return channels, height, width


def _kt(build: _Build) -> tuple[int, int]:
    first = next(iter(build.sent.values()))
    return first.shape[0], first.shape[1]


def _drive(
    build: _Build, j: p.Projection, node: g.Node, values: dict[str, IntArray] | None = None
) -> IntArray:
    """What a projection adds to its post population on the calibration data [K, T, n]."""
    x = (build.sent if values is None else values)[j.pre]
    m = matrix(j, x.shape[-1], target_size(node))
    flat = np.asarray(m @ x.reshape(-1, x.shape[-1]).T).T.reshape(*x.shape[:2], -1)
    return flat << j.weight_exp if j.weight_exp >= 0 else flat >> -j.weight_exp
