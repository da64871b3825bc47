"""Integer neurons that remember: v <- keep v + x, s = how many levels v passes (`ir/stairs.py`),
and a reset, from 0 at each sample: v <- v - s drop, or v <- 0 where a ternary neuron fired.

    A   what comes from outside, summed once
    M   the membrane: Product(v, keep), silenced by a gate at a sample's last step
    S   the node: the levels on v[t] = A[t] + what is fed back, so it receives what M receives

With a synaptic current, i <- keep_i i + x, there is one population more, and v adds i:

    I   Product(i, keep_i), silenced as M is: i[t] = A[t] + I[t-1]; M, S and the others receive both

A subtracting reset, v[t] = A[t] + M[t-1] - keep drop F[t-1]:

    F   S once more, silenced by a clock's tick at a sample's last step; of a neuron with spikes of
        both signs there are two, F of the levels above 0 and G of those below: one tick can
        silence either, but not both together

A reset to 0, v[t] = A[t] + M[t-1] - R[t-1]:

    R   M once more, which sends only beyond a threshold of its own: what it sends is what the
        reset takes away. M and R round down alike, so S takes the levels at which R begins to send

As a cell with a reset by subtraction (`soft`), with numbers in the place of spikes: levels keep
nothing, so no threshold is shifted, and all copies compare at M's own scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ....ground.arith import IntArray
from ....ir import facts as f
from ....ir import graph as g
from ....ir import program as p
from ....ir.graph import FloatArray
from ....ir.neurons.clock import CLOCK
from ....ir.neurons.product import PRODUCT_LIMIT
from ....ir.record import LayerRecord
from ....ir.stairs import Stairs, stairs
from ....ir.wires import wires_into
from ..fit.counted import measured
from ..fit.mantissa import exact_gain, largest_gain
from ..fit.no_scale import no_scale
from ..fit.real import RealCell, real_cell
from ..fit.terms import stored_bits
from ..fit.whole_levels import whole_levels
from ..state.memory import memory_bits
from ..state.quantizer_state import QuantizerState, drive, inputs_of
from ..state.values import Values
from .draft import GATE, Draft
from .states import Keep, full, grain_of, integers_of, keep_of, sent_of
from .terms import Weights, all_weights, outside

POWERS = range(16, -17, -1)
"""Powers of two of the scale that are tried, the finest first."""
LEAST_UNITS = 16
"""Units of a threshold below which a rounded model would not be the same neuron any more."""
NOTHING = Keep(0, 0)
"""What a neuron without a synaptic current keeps of it."""
Span = tuple[float, float]
"""Least and greatest value."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A neuron at one scale: units of M per 1.0 of v."""

    draft: Draft
    real: RealCell
    of: Stairs
    scale: float

    def name(self, part: str) -> str:
        """Of a population of the neuron."""
        return f"{self.draft.node.name}.{part}"


@dataclass(frozen=True, eq=False)
class Reset:
    """What is fed back beside the membrane.

    levels  of the node
    parts   names of the populations that do it
    weight  of what they send, in v
    off     of v, by which levels had to move
    """

    levels: p.MultiLevel
    parts: tuple[str, ...]
    weight: int
    off: int = 0


@dataclass(frozen=True, eq=False)
class IntegerCell:
    """One attempt that fits.

    keep, current  shares of membrane and synaptic current that a step keeps
    constant  what is added at every step [n];  late: what v adds beside it
    rough   what rounding does to v, relative to the threshold
    """

    trial: Trial
    weights: Weights
    reset: Reset
    keep: Keep
    current: Keep
    constant: IntArray
    late: int
    exact: bool
    rough: float


def add_integer(state: QuantizerState, node: g.Node) -> None:
    """Append the populations, projections and record of an integer neuron that remembers.

    Raises UnsupportedError SFX-E310 if no scale fits.
    """
    of = stairs(node.op)
    assert of is not None, "it is an integer neuron"
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    draft, real = Draft(state, node, inputs), real_cell(node, inputs)
    if not real.subtract:
        real = replace(real, drop=0.0)  # it takes all there is
    cell = _best(draft, real, of)
    if cell is None:
        raise no_scale(
            state,
            inputs,
            real,
            lambda s, r: _best(Draft(s, node, inputs), r, of) is not None,
        )
    made = cell.trial.draft
    state.populations.extend(made.populations)
    state.projections.extend(made.projections)
    for origin in made.origins:
        origin.note(state)
    silent = (*cell.reset.parts, *(cell.trial.name(q) for q in _states(made)))
    state.facts.append(f.Cell(node.name, cell.trial.name("input"), silent))
    state.records.append(
        replace(
            _record(cell),
            **measured(state, inputs, lambda sent: _sent(state, cell, sent), of.signed),
        )
    )


def _record(cell: IntegerCell) -> LayerRecord:
    """What rounding costs, apart from the data."""
    trial = cell.trial
    draft, real, scale = trial.draft, trial.real, trial.scale
    widths = draft.state.arithmetic
    return LayerRecord(
        draft.node.name,
        scale,
        stored_bits(cell.weights.terms, draft.state.bits_of(draft.node)),
        cell.exact,
        0,
        cell.weights.error(real),
        0.0 if cell.exact else (0.5 + cell.reset.off) / (real.threshold * scale),
        abs(cell.keep.value - real.keep_v),
        dead=cell.weights.dead(real),
        memory_bits=memory_bits(draft.projections, widths),
    )


def _gain(draft: Draft, real: RealCell) -> float | None:
    bits = draft.state.bits_of(draft.node)
    gain = exact_gain(real.weights, bits)
    few = gain is None and bits.used < bits.held
    return largest_gain(real.weights, bits) if few else gain


def _best(draft: Draft, real: RealCell, of: Stairs) -> IntegerCell | None:
    """An exact cell if there is one, else the one whose rounding disturbs least."""
    streams = draft.state.streams
    scales = [streams[w.source].scale for w in draft.inputs.wires if w.source in streams]
    base = (scales[0] if scales else _gain(draft, real)) or 1.0
    found: IntegerCell | None = None
    for power in POWERS:
        new = Draft(draft.state, draft.node, draft.inputs)
        cell = _cell(Trial(new, real, of, base * 2.0**power))
        if cell is not None and cell.exact:
            return cell
        if cell is not None and (found is None or cell.rough < found.rough):
            found = cell
    return found


def _cell(trial: Trial) -> IntegerCell | None:
    """The populations at one scale; None if a register could overflow."""
    draft, real, scale = trial.draft, trial.real, trial.scale
    weights = all_weights(draft, real, scale)
    integers = integers_of(real, scale)
    (through, into_v), drop, _ = integers
    threshold = real.threshold * scale
    top = max(threshold * (trial.of.most + 1), float(np.abs(through).max(initial=0)))
    if weights is None or top >= draft.state.arithmetic.payload_limit or threshold < 1:
        return None
    constant, late = full(draft, through), int(into_v)
    outside(draft, weights, constant, scale, real.threshold)
    x = draft.populations[-1]
    entering, current = _current(trial, (x.low, x.high))
    if current is None:
        return None
    keep = _state(trial, "membrane", real.keep_v, _membranes(trial, entering, late))
    if keep is None:
        return None
    reset = _subtracts(trial, drop) if real.subtract else _to_zero(trial, keep)
    if reset is None or not _connected(trial, reset, keep, late):
        return None
    grain = grain_of(draft, real, weights, scale, (keep, current), integers)
    exact = grain is not None and (reset.off == 0 or _same_side(trial, reset, int(grain)))
    if not exact and threshold < LEAST_UNITS:
        return None
    off = abs(keep.value - real.keep_v) + abs(current.value - real.keep_i)
    rough = 0.0 if exact else off * draft.state.graph.timesteps + (1.0 + reset.off) / threshold
    return IntegerCell(trial, weights, reset, keep, current, constant, late, exact, rough)


def _states(draft: Draft) -> list[str]:
    """Which populations keep something from step to step."""
    return [part for part in ("membrane", "current") if draft.has(part)]


def _state(trial: Trial, part: str, factor: float, ends: Span) -> Keep | None:
    """A population that keeps a share of values in `ends`; None if no register holds them."""
    draft, most = trial.draft, max(-ends[0], ends[1])
    keep = keep_of(factor, 4 * most, draft.state.arithmetic.decay_bits)
    if keep is None or most >= draft.state.arithmetic.payload_limit:
        return None
    name = draft.add(part, p.Product(exp=keep.bits), *sent_of(ends, keep))
    draft.to_all(GATE, name, keep.number, port="a_in2")
    return keep


def _current(trial: Trial, x: Span) -> tuple[Span, Keep | None]:
    """What enters v, of inputs in `x`, and what a current keeps; None if no register holds it."""
    draft, keep_i = trial.draft, trial.real.keep_i
    if not keep_i:
        return x, NOTHING
    low = high = 0.0
    for _ in range(draft.state.graph.timesteps):
        low, high = keep_i * low + x[0] - 2, keep_i * high + x[1] + 2
    keep = _state(trial, "current", keep_i, (low, high))
    if keep is not None:
        name = trial.name("current")
        draft.same(trial.name("input"), name, 1, port="a_in1")
        draft.same(name, name, 1, port="a_in1", lag=1)
    return (float(np.floor(low)), float(np.ceil(high))), keep


def _subtracts(trial: Trial, drop: int) -> Reset | None:
    """F, and G of levels below 0: what they send takes off a drop, kept as long as the membrane."""
    draft, of = trial.draft, trial.of
    levels = whole_levels(of, trial.scale)
    if levels is None:
        return None
    parts = [draft.add("feedback", p.MultiLevel(levels[0]), 0, len(of.up))]
    if of.down:
        parts.append(draft.add("below", p.MultiLevel((), levels[1]), -len(of.down), 0))
    return Reset(p.MultiLevel(*levels), tuple(parts), -drop)


def _to_zero(trial: Trial, keep: Keep) -> Reset | None:
    """R: it sends where |floor(keep v)| is above its threshold, and so S fires just there."""
    draft, of = trial.draft, trial.of
    levels = whole_levels(of, trial.scale)
    number, bits = keep.number, keep.bits
    if levels is None or number < 1 or len(of.up) != 1 or len(of.down) != 1:
        return None
    (up,), _ = levels
    limit = (up * number) >> bits
    highest = -(-((limit + 1) << bits) // number) - 1
    lowest = -((limit << bits) // number)
    if limit >= draft.state.arithmetic.payload_limit:
        return None
    membrane = next(q for q in draft.populations if q.name == trial.name("membrane"))
    part = draft.add("reset", p.Product(exp=bits, vth=limit), membrane.low, membrane.high)
    draft.to_all(GATE, part, number, port="a_in2")
    off = max(highest - up, lowest + up, 0)
    return Reset(p.MultiLevel((highest,), (lowest,)), (part,), -1, off)


def _connected(trial: Trial, reset: Reset, keep: Keep, late: int) -> bool:
    """All that v is made of, into all that see it, and the node; False if a sum could overflow."""
    draft, of, subtract = trial.draft, trial.of, trial.real.subtract
    membrane, seen = trial.name("membrane"), "a_in" if subtract else "a_in1"
    ends = [(membrane, "a_in1"), *((q, seen) for q in reset.parts), (draft.node.name, "a_in")]
    for to, port in ends:
        draft.same(trial.name("input"), to, 1, port=port)
        if draft.has("current"):
            draft.same(trial.name("current"), to, 1, port=port, lag=1)
        if late:
            draft.constant(to, np.full(draft.size, late), port=port)
        draft.same(membrane, to, 1, port=port, lag=1)
        for part in reset.parts:
            draft.same(part, to, reset.weight, port=port, lag=1)
    received = draft.reach(membrane, "a_in1")
    most = int(received.largest.max(initial=0))
    silence = max(1, most if of.signed else int(received.high.max(initial=0)))
    limit = draft.state.arithmetic.payload_limit
    if 2 * most + silence >= limit or most * keep.number >= PRODUCT_LIMIT:
        return False
    if subtract:
        for part, sign in zip(reset.parts, (-1, 1), strict=False):
            draft.to_all(CLOCK, part, sign * silence)
    draft.add("", reset.levels, -len(of.down), len(of.up))
    return True


def _membranes(trial: Trial, entering: Span, late: int) -> Span:
    """Least and greatest v over the steps of a sample; each rounding takes off less than 1, and
    levels of a reset to 0 lie up to 1 / keep further out.
    """
    low, high = entering[0] + min(late, 0) - 3, entering[1] + max(late, 0) + 3
    v = np.zeros(2)
    ends = np.zeros(2)
    for _ in range(trial.draft.state.graph.timesteps):
        v = trial.real.keep_v * _left(v, trial) + [low, high]
        ends = np.array([min(ends[0], v[0]), max(ends[1], v[1])])
    return float(ends[0]), float(ends[1])


def _left(v: FloatArray, trial: Trial) -> FloatArray:
    """Least and greatest membrane after the reset of one in v."""
    real, scale = trial.real, trial.scale
    up = [at * scale for at, _ in trial.of.up]
    down = [at * scale for at, _ in trial.of.down]
    if not real.subtract:
        return np.array([max(v[0], -down[0]), min(v[1], up[0])])
    drop = real.drop * scale
    peaks, bottoms = [min(v[1], up[0])], [max(v[0], -down[0]) if down else v[0]]
    for sign, end, levels, most, least in (
        (1, v[1], up, peaks, bottoms),
        (-1, -v[0], down, bottoms, peaks),
    ):
        for j, level in enumerate(levels):
            if end >= level:
                above = min(end, levels[j + 1]) if j + 1 < len(levels) else end
                most.append(sign * (above - (j + 1) * drop))
                least.append(sign * (level - (j + 1) * drop))
    return np.array([min(bottoms), max(peaks)])


def _same_side(trial: Trial, reset: Reset, grain: int) -> bool:
    """Whether every multiple of `grain` is on the side of the levels that it should be on."""
    wanted = whole_levels(trial.of, trial.scale)
    assert wanted is not None, "the reset has levels"
    (up,), (down,) = wanted
    highest, lowest = reset.levels.up[0], reset.levels.down[0]
    return highest // grain == up // grain and -(-lowest // grain) == -(-down // grain)


def _sent(state: QuantizerState, cell: IntegerCell, values: Mapping[str, Values]) -> IntArray:
    """What the node sends on the calibration data [K, T, n], by the rules of its populations."""
    draft, node = cell.trial.draft, cell.trial.draft.node
    x = state.zeros(node) + cell.constant
    for j in draft.projections:
        if j.pre in values and j.pre != node.name:
            x = x + drive(state, replace(j, post=node.name), values)
    sent = np.zeros_like(x)
    kept = np.zeros(x[:, 0].shape, np.int64)
    current = np.zeros(x[:, 0].shape, np.int64)
    for t in range(x.shape[1]):
        i = x[:, t] + current
        current = (i * cell.current.number) >> cell.current.bits
        v = i + cell.late + kept
        sent[:, t] = s = cell.reset.levels.count(v)
        kept = (v * cell.keep.number) >> cell.keep.bits
        subtract = cell.trial.real.subtract
        kept = kept + cell.reset.weight * s if subtract else np.where(s != 0, 0, kept)
    return sent
