"""The float graph in neuron form becomes the integer Program: float to integer in one place.

Populations are quantized in topological order. With calibration data each one is fitted on the
integer spikes that the already quantized populations before it really send, so later layers see
the earlier layers' errors.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ...ground.arith import IntArray, scale_exponent
from ...ground.arithmetic import LOIHI, Arithmetic
from ...ground.errors import InputError, UnsupportedError
from ...ir import graph as g
from ...ir import program as p
from ...ir.carried import Origins
from ...ir.connections import value_bounds
from ...ir.evaluate import record
from ...ir.facts import Coincidence, SampleTotal, in_order
from ...ir.matched import Silence
from ...ir.ranges import SPIKES, Range, ranges
from ...ir.record import LayerRecord
from ...ir.stairs import stairs
from ...ir.wires import Wire, sources, wires_into
from .cells.accumulator import accumulator
from .cells.cell import NeedsRanges, add_cell
from .cells.draft import ONE, add_helper
from .cells.integer import add_integer
from .delays import add_delay
from .fit.real import is_plain
from .fit.terms import Term, block, constant_terms, whole_terms
from .levels import add_levels
from .membranes import add_membrane
from .options import Options
from .slots import add_slot
from .state.quantizer_state import QuantizerState, drive, own_weight, projection
from .state.values import Values, coincidences, over_steps
from .time_maps import add_time_map
from .weighted import add_lif, add_output, add_relu, add_stream

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Quantized:
    """An unbalanced Program, the record of what rounding did, and what never fires on the data.

    origins  which layers of the model its projections carry
    """

    program: p.Program
    records: tuple[LayerRecord, ...]
    silent: tuple[Silence, ...] = ()
    origins: Origins = field(default_factory=Origins)


def quantize(
    graph: g.Graph,
    calibration: IntArray | None = None,
    progress: Progress | None = None,
    options: Options | None = None,
    arithmetic: Arithmetic = LOIHI,
) -> Quantized:
    """Integers for every population of `graph` (neuron form).

    calibration: events [K, T, *input shape]; without it scales follow from the weights alone.
    arithmetic: the widths of the target, which the Program keeps.
    Raises UnsupportedError (SFX-E306..E312) for what integers cannot express, InputError
    (SFX-E326, E329) for options that do not match the graph or the data.
    """
    options = (options or Options()).within(arithmetic)
    options.check(graph)
    try:
        return _quantized(graph, calibration, progress, options, arithmetic, measuring=False)
    except NeedsRanges:
        pass  # not within: what is raised then has no other cause
    return _quantized(graph, calibration, progress, options, arithmetic, measuring=True)


def _quantized(
    graph: g.Graph,
    calibration: IntArray | None,
    progress: Progress | None,
    options: Options,
    arithmetic: Arithmetic,
    *,
    measuring: bool,
) -> Quantized:
    """measuring: ranges may come from the data. A net of which a part needs that is more precise
    if all of it does so.
    """
    input_high = _input_high(graph, options, calibration)
    neurons = [n for n in graph if n.op.neuron or isinstance(n.op, g.Output)]
    classes = ranges(graph, input_high)
    state = QuantizerState(graph, classes, None, {}, options=options, arithmetic=arithmetic)
    state.measuring = measuring
    if calibration is not None:
        state.lead = calibration.shape[0], calibration.shape[1]
        rounded = [n.name for n in neurons if not _is_whole(n, classes)]
        state.real = record(graph, calibration.astype(np.float64), rounded)
    done_with = _last_readers(graph, neurons)
    readout: p.Readout | None = None
    for done, node in enumerate(neurons):
        if isinstance(node.op, g.Output):
            readout = add_output(state, node)
        elif isinstance(node.op, g.Input):
            _input(state, node, calibration, input_high)
        else:
            _population(state, node)
        state.forget(done_with[node.name])
        if progress is not None:
            progress(done + 1, len(neurons))
    if readout is None:
        raise UnsupportedError("SFX-E306", "the model has no output", where=graph.name)
    program = p.Program(
        tuple(state.populations),
        tuple(state.projections),
        graph.timesteps,
        readout,
        graph.dt,
        graph.name,
        in_order(state.facts),
        arithmetic,
    )
    return Quantized(program, tuple(state.records), tuple(state.silent), state.notes.all)


def _input_high(graph: g.Graph, options: Options, calibration: IntArray | None) -> int:
    """What may enter. The passes have lowered the graph for what its input declares, so no more."""
    (start,) = graph.of_type(g.Input)
    assert isinstance(start.op, g.Input)
    high = options.input_high(calibration, start.op.high)
    if start.op.high and high > start.op.high:
        raise InputError(
            "SFX-E329",
            f"{high} events a step, but the graph was lowered for at most {start.op.high}",
            where=graph.name,
            hint="lower it for as many",
        )
    return high


def _is_whole(node: g.Node, classes: Mapping[str, Range]) -> bool:
    """Whether nothing of a neuron is rounded or compared: whole numbers of whole numbers."""
    whole = isinstance(node.op, g.Threshold | g.Product | g.TimeSum | g.Output)
    either = isinstance(node.op, g.Relay | g.Integrator)
    return whole or (either and classes[node.name].whole)


def _last_readers(graph: g.Graph, neurons: list[g.Node]) -> dict[str, list[str]]:
    """For each neuron the names of those that nothing after it reads (loops read themselves)."""
    last = {n.name: n.name for n in neurons}
    for node in neurons:
        last |= dict.fromkeys(sources(graph, node), node.name)
    done: dict[str, list[str]] = {n.name: [] for n in neurons}
    for name, reader in last.items():
        done[reader].append(name)
    return done


def _input(state: QuantizerState, node: g.Node, calibration: IntArray | None, high: int) -> None:
    bits = 0 if high == 1 else high.bit_length()
    state.populations.append(
        p.Population(node.name, node.shape, p.Input(bits), 0, high, -1, node.module)
    )
    if calibration is not None:
        state.sent[node.name] = calibration.reshape(*calibration.shape[:2], -1).astype(np.int64)


def _population(state: QuantizerState, node: g.Node) -> None:
    """Append the population(s) and projections of one neuron node."""
    match node.op:
        case g.LIF() if node.op.keeps_nothing:
            add_levels(state, node)
        case g.LIF() | g.IF() if stairs(node.op) is not None:
            add_integer(state, node)
        case g.LIF() | g.IF():
            wires = wires_into(state.graph, node)
            if is_plain(node, own=any(w.source == node.name for w in wires)):
                add_lif(state, node)
            else:
                add_cell(state, node, wires)
        case g.Slot():
            add_slot(state, node)
        case g.Threshold():
            _whole(state, node, _stateless(node.op, state.arithmetic))
        case g.ReLU():
            add_relu(state, node)
        case g.Relay() if not state.classes[node.name].whole:
            add_stream(state, node)
        case g.Relay():
            _whole(state, node, p.Graded())
        case g.Product():
            _whole(state, node, p.Product())
        case g.LI():
            add_membrane(state, node)
        case g.TimeMap():
            add_time_map(state, node)
        case g.Delay():
            add_delay(state, node)
        case g.Integrator() if not state.classes[node.name].whole:
            add_membrane(state, node)
        case g.Integrator() | g.TimeSum():
            _over_steps(state, node)
        case _:
            what = f"no neuron program for {type(node.op).__name__}"
            raise UnsupportedError("SFX-E306", what, where=node.name)


def _stateless(op: g.Threshold, widths: Arithmetic) -> p.LIF:
    """Fires iff the whole-number input exceeds the threshold; du = dv = 4095 leave nothing.

    (At decays of 12 bits.) |a_in| << 6 stays below 4096 (checked with the Program), so
    trunc(v * 1 / 4096) = 0.
    """
    full = widths.full_decay
    return p.LIF(du=full, dv=full, vth=int(np.floor(op.threshold)), reset=False)


# --- populations that compute on whole numbers: nothing to round -----------------------------


def _whole(state: QuantizerState, node: g.Node, neuron: p.NeuronProgram) -> None:
    """A population whose inputs have unit or whole weights."""
    made: list[p.Projection] = []
    for w in wires_into(state.graph, node):
        for t in _whole_terms(state, w, node):
            j = projection(state, w, node, neuron.ports[w.port], t.weight, t.exponent)
            state.projections.append(j)
            made.append(j)
    constants = _constants(state, node, neuron.ports, node.name)
    state.projections.extend(constants)
    pair = _operands(state, node, [*made, *constants])
    if pair is not None and not any(j.weight_exp for j in pair):
        state.facts.append(Coincidence(node.name, pair[0].name, pair[1].name))
    if isinstance(neuron, p.Graded):
        state.classes[node.name] = _reach(state, node, [*made, *constants])
    low, high = state.classes[node.name].low, state.classes[node.name].high
    state.populations.append(
        p.Population(node.name, node.shape, neuron, int(low), int(high), -1, node.module)
    )
    if state.lead is not None:
        before = {j.pre: state.as_sent(j.pre) for j in made}
        made += constants
        state.sent[node.name] = _send(state, node, neuron, made, state.sent)
        state.ideal[node.name] = _send(state, node, neuron, made, before)
        if isinstance(neuron, p.LIF):
            state.listen(node.name, state.ideal[node.name], state.sent[node.name])


def _reach(state: QuantizerState, node: g.Node, made: Sequence[p.Projection]) -> Range:
    """What can arrive, as the Program is checked: weights of two projections are bounded apart."""
    known = state.classes[node.name]
    low = high = np.zeros(state.size(node.name), np.int64)
    for j in made:
        ends = SPIKES if j.pre == ONE else state.classes[j.pre]
        size = 1 if j.pre == ONE else state.size(j.pre)
        least, most = value_bounds(j, size, low.size, int(ends.low), int(ends.high))
        low = low + scale_exponent(least, j.weight_exp)
        high = high + scale_exponent(most, j.weight_exp)
    return Range(min(known.low, int(low.min())), max(known.high, int(high.max())), known.whole)


def _send(
    state: QuantizerState,
    node: g.Node,
    neuron: p.NeuronProgram,
    made: list[p.Projection],
    values: Mapping[str, Values],
) -> Values:
    """What the population sends if its sources send `values`."""
    pair = _operands(state, node, made)
    if pair is not None:
        (a, ca), (b, cb) = ((j.pre, j.connection) for j in pair)
        assert isinstance(ca, p.Structured)
        assert isinstance(cb, p.Structured)
        found = coincidences(ca, values[a], cb, values[b])
        if found is not None:
            return found
    sums = {port: state.zeros(node) for port in neuron.ports}
    for j in made:
        sums[j.port] = sums[j.port] + _arriving(state, j, values)
    match neuron:
        case p.LIF():
            return (sums["a_in"] > neuron.vth).astype(np.uint8)
        case p.Product():
            return sums["a_in1"] * sums["a_in2"]
        case _:
            return sums["a_in"]


def _arriving(state: QuantizerState, j: p.Projection, values: Mapping[str, Values]) -> IntArray:
    """What a projection adds: [K, T, n], or [n] where it is a constant."""
    if j.pre != ONE:
        return drive(state, j, values)
    assert isinstance(j.connection, p.Dense)
    return scale_exponent(j.connection.weight.ravel(), j.weight_exp)


def _operands(
    state: QuantizerState, node: g.Node, made: list[p.Projection]
) -> list[p.Projection] | None:
    """The two projections whose values the population multiplies, or None if it does not."""
    if len(made) != 2 or not all(isinstance(j.connection, p.Structured) for j in made):
        return None
    if isinstance(node.op, g.Product):
        return made if {j.port for j in made} == set(p.Product.ports) else None
    both = isinstance(node.op, g.Threshold) and 1 <= node.op.threshold < 2
    return made if both and all(_one_spike(state, j) for j in made) else None


def _one_spike(state: QuantizerState, j: p.Projection) -> bool:
    """Every neuron receives one neuron's spike, with weight 1."""
    c = j.connection
    assert isinstance(c, p.Structured)
    summed = set(c.pre) - set(c.post)
    return c.weight == 1 and not summed and state.classes[j.pre].binary


def _whole_terms(state: QuantizerState, wire: Wire, node: g.Node) -> tuple[Term, ...]:
    """The wire's weights exactly: one projection, or two where 8 bits do not hold them."""
    real = own_weight(wire) * wire.factor
    whole: IntArray = np.rint(real).astype(np.int64)
    if not np.array_equal(whole, real) or wire.source in state.streams:
        raise _not_whole(node, f"values on the path from {wire.source}")
    terms = whole_terms(whole, state.arithmetic)
    if terms is None:
        raise UnsupportedError(
            "SFX-E370",
            f"a whole-number weight of {np.abs(whole).max()} on the path from {wire.source}, two "
            f"projections carry at most {block(state.arithmetic)}",
            where=node.module or node.name,
            hint="scale the weights and the threshold of the next neuron down",
        )
    return terms


def _constants(
    state: QuantizerState, node: g.Node, ports: Sequence[str], post: str
) -> list[p.Projection]:
    """What biases on the paths into `node` add at every step, from a neuron that always fires."""
    found: dict[str, g.FloatArray] = {}
    for w in wires_into(state.graph, node):
        found[ports[w.port]] = found.get(ports[w.port], 0.0) + np.asarray(w.bias)
    made: list[p.Projection] = []
    for port, bias in found.items():
        whole = np.rint(bias).astype(np.int64)
        if not np.array_equal(whole, bias):
            raise _not_whole(node, "a bias")
        for t in _bias_terms(whole, state.arithmetic):
            name = f"{ONE}->{post}" + (f"#{len(made)}" if made else "")
            weights = p.Dense(t.weight.reshape(-1, 1))
            made.append(p.Projection(name, ONE, post, weights, port, t.exponent))
    if made:
        add_helper(ONE, state.arithmetic, state.populations, state.projections)
    return made


def _bias_terms(whole: IntArray, widths: Arithmetic) -> tuple[Term, ...]:
    if not whole.any():
        return ()
    return whole_terms(whole, widths) or constant_terms(whole, widths)


def _not_whole(node: g.Node, what: str) -> UnsupportedError:
    return UnsupportedError(
        "SFX-E308",
        f"this sum of spikes needs whole numbers, but has {what} that are none",
        where=node.module or node.name,
        hint="move the scale behind the sum, into the next weights or the neuron's gain",
    )


def _over_steps(state: QuantizerState, node: g.Node) -> None:
    """A sum of whole numbers over the steps: an accumulator that a clock clears at a sample's end.

    NIR's I sends what came so far, a TimeSum the total of the sample, or group, at every step.
    """
    if isinstance(node.op, g.Integrator) and node.op.gain != 1.0:
        raise _not_whole(node, f"an integration gain of {node.op.gain:g}, values")
    values = state.classes[node.name]
    whole = isinstance(node.op, g.TimeSum)
    memory = replace(node, name=f"{node.name}.memory", module="") if whole else node
    group = _group(state, node)
    parts = accumulator(memory, int(values.low), int(values.high), group)
    if not any(q.neuron == parts.clock.neuron for q in state.populations):
        state.populations.append(parts.clock)
    state.populations.extend((parts.memory, parts.clear))
    made: list[p.Projection] = []
    for w in wires_into(state.graph, node):
        for t in _whole_terms(state, w, node):
            made.append(projection(state, w, memory, "a_in", t.weight, t.exponent))
            state.projections.extend((made[-1], parts.to_clear(made[-1])))
    constants = _constants(state, node, ("a_in",), memory.name)
    for j in constants:
        state.projections.extend((j, parts.to_clear(j)))
    state.projections.extend(parts.loops)
    if all(isinstance(j.connection, p.Structured) for j in (*made, *constants)):
        state.facts.append(parts.fact)
    if whole:
        total, reads = parts.held(node, group or state.graph.timesteps)
        state.populations.append(total)
        state.projections.extend(reads)
        names = tuple(j.name for j in reads)
        state.facts.append(SampleTotal(node.name, parts.clear.name, names))
    if state.lead is not None:
        before = {j.pre: state.as_sent(j.pre) for j in made}
        made += constants
        state.sent[node.name] = _summed_over_steps(state, node, made, state.sent)
        state.ideal[node.name] = _summed_over_steps(state, node, made, before)


def _group(state: QuantizerState, node: g.Node) -> int:
    """Steps that a node sums, 0 for all of the sample."""
    steps = state.graph.timesteps
    span = node.op.span(steps) if isinstance(node.op, g.TimeSum) else steps
    return 0 if span == steps else span


def _summed_over_steps(
    state: QuantizerState, node: g.Node, made: list[p.Projection], values: Mapping[str, Values]
) -> IntArray:
    """The sum of what arrived up to each step, or in the whole sample or group [K, T, n]."""
    steps = state.graph.timesteps
    group = _group(state, node) or steps
    if isinstance(node.op, g.TimeSum) and len(made) == 1 and _shifts_nothing(made[0]):
        assert isinstance(made[0].connection, p.Structured)
        return _at_each(over_steps(made[0].connection, values[made[0].pre], group), group)
    total = state.zeros(node)
    for j in made:
        total += _arriving(state, replace(j, post=node.name), values)
    if isinstance(node.op, g.TimeSum):
        return _at_each(total.reshape(len(total), steps // group, group, -1).sum(axis=2), group)
    return np.cumsum(total, axis=1, out=total)


def _at_each(sums: IntArray, group: int) -> IntArray:
    """The sums of groups [K, T/group, n] at each step [K, T, n]; one sum is stored once."""
    if sums.shape[1] == 1:
        return np.broadcast_to(sums, (len(sums), group, sums.shape[2]))
    return np.repeat(sums, group, axis=1)


def _shifts_nothing(j: p.Projection) -> bool:
    return isinstance(j.connection, p.Structured) and j.weight_exp == 0
