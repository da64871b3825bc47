"""The float graph in neuron form becomes the integer Program: float to integer in one place.

Populations are quantized in topological order. With calibration data each one is fitted on the
integer spikes that the already quantized populations before it really send, so later layers see
the earlier layers' errors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.errors import UnsupportedError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.evaluate import run as evaluate
from sfx.toolchain.ir.ranges import ranges
from sfx.toolchain.ir.wires import Wire, wires_into
from sfx.toolchain.quantize.accumulator import accumulator
from sfx.toolchain.quantize.build import Build, drive, own_weight, projection
from sfx.toolchain.quantize.record import LayerRecord
from sfx.toolchain.quantize.rounded import add_lif, add_output, add_relu, add_stream

Progress = Callable[[int, int], None]
COUNT_BITS = 8
"""Payload of an input that carries event counts (design: graded input, 8 bit)."""


@dataclass(frozen=True, eq=False)
class Quantized:
    """An unbalanced Program and the record of what rounding did."""

    program: p.Program
    records: tuple[LayerRecord, ...]


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
    if calibration is not None:
        real = evaluate(graph, calibration.astype(np.float64), keep=[n.name for n in neurons])
    build = Build(graph, ranges(graph, input_high), real, {})
    readout: p.Readout | None = None
    for done, node in enumerate(neurons):
        if isinstance(node.op, g.Output):
            readout = add_output(build, node)
        elif isinstance(node.op, g.Input):
            _input(build, node, calibration, input_high)
        else:
            _population(build, node)
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


def _input(build: Build, node: g.Node, calibration: IntArray | None, high: int) -> None:
    bits = 0 if high == 1 else COUNT_BITS
    build.populations.append(
        p.Population(node.name, node.shape, p.Input(bits), 0, high, -1, node.module)
    )
    if calibration is not None:
        build.sent[node.name] = calibration.reshape(*calibration.shape[:2], -1).astype(np.int64)


def _population(build: Build, node: g.Node) -> None:
    """Append the population(s) and projections of one neuron node."""
    match node.op:
        case g.LIF() | g.IF():
            add_lif(build, node)
        case g.Threshold():
            _whole(build, node, _stateless(node.op))
        case g.ReLU():
            add_relu(build, node)
        case g.Relay() if not build.classes[node.name].whole:
            add_stream(build, node)
        case g.Relay():
            _whole(build, node, p.Graded())
        case g.Product():
            _whole(build, node, p.Product())
        case g.Integrator():
            _integrator(build, node)
        case _:
            what = f"no neuron program for {type(node.op).__name__}"
            raise UnsupportedError("SFX-E306", what, where=node.name)


def _stateless(op: g.Threshold) -> p.LIF:
    """Fires iff the whole-number input exceeds the threshold; du = dv = 4095 leave nothing.

    |a_in| << 6 stays below 4096 (checked with the Program), so trunc(v * 1 / 4096) = 0.
    """
    return p.LIF(du=4095, dv=4095, vth=int(np.floor(op.threshold)), reset=False)


# --- populations that compute on whole numbers: nothing to round -----------------------------


def _whole(build: Build, node: g.Node, neuron: p.NeuronProgram) -> None:
    """A population whose inputs have unit or whole weights."""
    made: list[p.Projection] = []
    for w in wires_into(build.graph, node):
        if np.any(w.bias):
            raise _not_whole(node, "a bias")
        j = projection(build, w, node, neuron.ports[w.port], _whole_weights(build, w, node))
        build.projections.append(j)
        made.append(j)
    low, high = build.classes[node.name].low, build.classes[node.name].high
    build.populations.append(
        p.Population(node.name, node.shape, neuron, int(low), int(high), -1, node.module)
    )
    if build.real:
        sums = {port: build.zeros(node) for port in neuron.ports}
        for j in made:
            sums[j.port] = sums[j.port] + drive(build, j)
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


def _whole_weights(build: Build, wire: Wire, node: g.Node) -> IntArray:
    real = own_weight(wire) * wire.factor
    whole: IntArray = np.rint(real).astype(np.int64)
    if not np.array_equal(whole, real) or wire.source in build.streams:
        raise _not_whole(node, f"values on the path from {wire.source}")
    return whole


def _not_whole(node: g.Node, what: str) -> UnsupportedError:
    return UnsupportedError(
        "SFX-E308",
        f"this sum of spikes has {what} that are not whole numbers",
        where=node.module or node.name,
        hint="move the scale behind the sum, into the next weights or the neuron's gain",
    )


def _integrator(build: Build, node: g.Node) -> None:
    """NIR's I on whole numbers: an accumulator that a clock clears at each sample's end."""
    assert isinstance(node.op, g.Integrator)
    if node.op.gain != 1.0:
        raise _not_whole(node, f"an integration gain of {node.op.gain:g}, values")
    values = build.classes[node.name]
    parts = accumulator(node, int(values.low), int(values.high))
    if not any(isinstance(q.neuron, p.Clock) for q in build.populations):
        build.populations.append(parts.clock)
    build.populations.extend((parts.memory, parts.clear))
    total = build.zeros(node) if build.real else None
    for w in wires_into(build.graph, node):
        j = projection(build, w, node, "a_in", _whole_weights(build, w, node))
        build.projections.extend((j, parts.to_clear(j)))
        if total is not None:
            total = total + drive(build, j)
    build.projections.extend(parts.loops)
    if total is not None:
        build.sent[node.name] = np.cumsum(total, axis=1)
