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
from typing import Any

import numpy as np

from ....ground.arith import IntArray
from ....ir import facts as f
from ....ir import graph as g
from ....ir import program as p
from ....ir.graph import FloatArray
from ....ir.neurons.product import PRODUCT_LIMIT
from ....ir.record import LayerRecord
from ....ir.stairs import Stairs, stairs
from ....ir.wires import wires_into
from ..fit.counted import counted
from ..fit.mantissa import exact_gain
from ..fit.no_scale import no_scale
from ..fit.real import RealCell, real_cell
from ..fit.ties import alike
from ..fit.whole_levels import whole_levels
from ..state.memory import memory_bits
from ..state.quantizer_state import QuantizerState, drive, inputs_of
from ..state.values import Values
from .accumulator import CLOCK
from .draft import GATE, Draft
from .terms import Weights, all_weights, low_bits, outside

POWERS = range(16, -17, -1)
"""Powers of two of the scale that are tried, the finest first."""
LEAST_UNITS = 16
"""Units of a threshold below which a rounded model would not be the same neuron any more."""


@dataclass(frozen=True, eq=False)
class Reset:
    """What is fed back beside the membrane.

    levels  of the node;  drop: what each spike takes off, 0 where it takes all
    parts   names of the populations that do it;  off: of v, by which levels had to move
    """

    levels: p.MultiLevel
    drop: int
    parts: tuple[str, ...]
    off: int = 0


@dataclass(frozen=True, eq=False)
class IntegerCell:
    """One attempt that fits; keep is number / 2**bits.

    scale  units of M per 1.0 of v;  rough: what rounding does to v, relative to the threshold
    current  (number, bits) of the synaptic current, None without one;  late: what v adds beside it
    """

    draft: Draft
    weights: Weights
    reset: Reset
    scale: float
    number: int
    bits: int
    constant: IntArray
    exact: bool
    rough: float
    current: tuple[int, int] | None = None
    late: int = 0


def add_integer(state: QuantizerState, node: g.Node) -> None:
    """Append the populations, projections and record of an integer neuron that remembers.

    Raises UnsupportedError SFX-E310 if no scale fits.
    """
    of = stairs(node.op)
    assert of is not None, "it is an integer neuron"
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    draft, real = Draft(state, node, inputs), real_cell(node, inputs)
    cell = _best(draft, real, of)
    if cell is None:
        raise no_scale(
            state,
            inputs,
            real,
            lambda s, r: _best(Draft(s, node, inputs), r, of) is not None,
        )
    made = cell.draft
    state.populations.extend(made.populations)
    state.projections.extend(made.projections)
    silent = (*cell.reset.parts, f"{node.name}.membrane")
    if cell.current is not None:
        silent = (*silent, f"{node.name}.current")
    state.facts.append(f.Cell(node.name, f"{node.name}.input", silent))
    record = LayerRecord(
        node.name,
        cell.scale,
        state.arithmetic.weight_bits,
        cell.exact,
        0,
        cell.weights.error(real),
        0.0 if cell.exact else (0.5 + cell.reset.off) / (real.threshold * cell.scale),
        abs(cell.number / 2.0**cell.bits - real.keep_v),
        dead=cell.weights.dead(real),
        memory_bits=memory_bits(made.projections, state.arithmetic),
    )
    target = state.target(node.name)
    if target is not None:
        before = {w.source: state.as_sent(w.source) for w in inputs.wires}
        mine, alone = (_sent(state, cell, values) for values in (state.sent, before))
        whole = np.rint(target).astype(np.int64)
        state.keep_sent(node.name, mine, of.signed)
        state.note_silence(node.name, whole, mine)
        record = replace(record, **counted(whole, alone, mine))
    state.records.append(record)


def _best(draft: Draft, real: RealCell, of: Stairs) -> IntegerCell | None:
    """An exact cell if there is one, else the one whose rounding disturbs least."""
    streams = draft.state.streams
    scales = [streams[w.source].scale for w in draft.inputs.wires if w.source in streams]
    base = (scales[0] if scales else exact_gain(real.weights, draft.state.every_bit)) or 1.0
    found: IntegerCell | None = None
    for power in POWERS:
        new = Draft(draft.state, draft.node, draft.inputs)
        cell = _cell(new, real, base * 2.0**power, of)
        if cell is not None and cell.exact:
            return cell
        if cell is not None and (found is None or cell.rough < found.rough):
            found = cell
    return found


def _cell(draft: Draft, real: RealCell, scale: float, of: Stairs) -> IntegerCell | None:
    """The populations at one scale; None if a register could overflow."""
    widths = draft.state.arithmetic
    weights = all_weights(draft, real, scale)
    threshold = real.threshold * scale
    late = real.bias_v if real.keep_i else 0.0
    bias = np.asarray(real.bias_i + real.bias_v - late, np.float64) * scale
    top = max(threshold * (of.most + 1), float(np.abs(bias).max(initial=0)))
    if weights is None or top >= widths.payload_limit or threshold < 1:
        return None
    constant = np.broadcast_to(np.rint(bias), (draft.size,)).astype(np.int64)
    feed = outside(draft, weights, constant, scale)
    x = draft.populations[-1]
    entering = _current(draft, real, x.low, x.high)
    if entering is None:
        return None
    i_low, i_high, current = entering
    off_v = int(np.rint(late * scale))
    low, high = _ends(draft, real, i_low + min(off_v, 0), i_high + max(off_v, 0), scale, of)
    keep = _keep(real.keep_v, max(-low, high), widths.decay_bits)
    if keep is None or max(-low, high) >= widths.payload_limit:
        return None
    number, bits = keep
    name = draft.node.name
    membrane = f"{name}.membrane"
    kept = sorted(int(np.floor(end * number / 2.0**bits)) for end in (low, high))
    draft.add("membrane", p.Product(exp=bits), kept[0] - 1, kept[1] + 1)
    draft.to_all(GATE, membrane, number, port="a_in2")
    reset = (_subtracts if real.subtract else _to_zero)(draft, real, scale, of, keep)
    if reset is None:
        return None
    ends = [(membrane, "a_in1"), (name, "a_in")]
    ends[1:1] = [(n, "a_in" if real.subtract else "a_in1") for n in reset.parts]
    for to, port in ends:
        draft.same(feed, to, 1, port=port)
        if current is not None:
            draft.same(f"{name}.current", to, 1, port=port, lag=1)
        if off_v:
            draft.constant(to, np.full(draft.size, off_v), port=port)
        draft.same(membrane, to, 1, port=port, lag=1)
        for part in reset.parts:
            draft.same(part, to, -reset.drop if real.subtract else -1, port=port, lag=1)
    received = draft.reach(membrane, "a_in1")
    most_v = int(received.largest.max(initial=0))
    silence = max(1, most_v if of.signed else int(received.high.max(initial=0)))
    if 2 * most_v + silence >= widths.payload_limit or most_v * number >= PRODUCT_LIMIT:
        return None
    if real.subtract:
        for part, sign in zip(reset.parts, (-1, 1), strict=False):
            draft.to_all(CLOCK, part, sign * silence)
    draft.add("", reset.levels, -len(of.down), len(of.up))
    exact = alike(off_v, late * scale) and _exact(
        draft, real, weights, constant, bias, reset, (keep, current), scale
    )
    off = abs(number / 2.0**bits - real.keep_v)
    if current is not None:
        off += abs(current[0] / 2.0 ** current[1] - real.keep_i)
    moved = 1.0 + reset.off
    rough = 0.0 if exact else off * draft.state.graph.timesteps + moved / threshold
    if not exact and threshold < LEAST_UNITS:
        return None
    return IntegerCell(
        draft, weights, reset, scale, number, bits, constant, exact, rough, current, off_v
    )


def _current(
    draft: Draft, real: RealCell, low: int, high: int
) -> tuple[int, int, tuple[int, int] | None] | None:
    """Least and greatest current that enters v, and what it keeps; None if no register holds it."""
    if not real.keep_i:
        return low, high, None
    least = most = 0.0
    for _ in range(draft.state.graph.timesteps):
        least, most = real.keep_i * least + low - 2, real.keep_i * most + high + 2
    keep = _keep(real.keep_i, max(-least, most), draft.state.arithmetic.decay_bits)
    if keep is None or max(-least, most) >= draft.state.arithmetic.payload_limit:
        return None
    number, bits = keep
    name = f"{draft.node.name}.current"
    ends = [int(np.floor(end * number / 2.0**bits)) for end in (least, most)]
    draft.add("current", p.Product(exp=bits), ends[0] - 1, ends[1] + 1)
    draft.to_all(GATE, name, number, port="a_in2")
    draft.same(f"{draft.node.name}.input", name, 1, port="a_in1")
    draft.same(name, name, 1, port="a_in1", lag=1)
    return int(np.floor(least)), int(np.ceil(most)), keep


def _subtracts(
    draft: Draft, real: RealCell, scale: float, of: Stairs, keep: tuple[int, int]
) -> Reset | None:
    """F, and G of levels below 0: what they send takes off a drop, kept as long as the membrane."""
    levels = whole_levels(of, scale)
    if levels is None:
        return None
    drop = int(np.rint(real.keep_v * real.drop * scale))
    parts = [draft.add("feedback", p.MultiLevel(levels[0]), 0, len(of.up))]
    if of.down:
        parts.append(draft.add("below", p.MultiLevel((), levels[1]), -len(of.down), 0))
    return Reset(p.MultiLevel(*levels), drop, tuple(parts))


def _to_zero(
    draft: Draft, real: RealCell, scale: float, of: Stairs, keep: tuple[int, int]
) -> Reset | None:
    """R: it sends where |floor(keep v)| is above its threshold, and so S fires just there."""
    levels = whole_levels(of, scale)
    number, bits = keep
    if levels is None or number < 1 or len(of.up) != 1 or len(of.down) != 1:
        return None
    (up,), _ = levels
    limit = (up * number) >> bits
    highest = -(-((limit + 1) << bits) // number) - 1
    lowest = -((limit << bits) // number)
    if limit >= draft.state.arithmetic.payload_limit:
        return None
    membrane = next(q for q in draft.populations if q.name == f"{draft.node.name}.membrane")
    part = draft.add("reset", p.Product(exp=bits, vth=limit), membrane.low, membrane.high)
    draft.to_all(GATE, part, number, port="a_in2")
    off = max(highest - up, lowest + up, 0)
    return Reset(p.MultiLevel((highest,), (lowest,)), 0, (part,), off)


def _ends(
    draft: Draft, real: RealCell, low: int, high: int, scale: float, of: Stairs
) -> tuple[float, float]:
    """Least and greatest v over the steps of a sample; each rounding takes off less than 1, and
    levels of a reset to 0 lie up to 1 / keep further out.
    """
    v = np.zeros(2)
    ends = np.zeros(2)
    for _ in range(draft.state.graph.timesteps):
        v = real.keep_v * _left(v, real, scale, of) + [low - 3, high + 3]
        ends = np.array([min(ends[0], v[0]), max(ends[1], v[1])])
    return float(ends[0]), float(ends[1])


def _left(v: FloatArray, real: RealCell, scale: float, of: Stairs) -> FloatArray:
    """Least and greatest membrane after the reset of one in v."""
    up = [at * scale for at, _ in of.up]
    down = [at * scale for at, _ in of.down]
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


def _keep(factor: float, most: float, finest: int) -> tuple[int, int] | None:
    """The fewest bits that are exact, else as many as the 32-bit product leaves room for."""
    for bits in range(finest + 1):
        if factor * 2.0**bits == np.rint(factor * 2.0**bits):
            return int(factor * 2.0**bits), bits
    for bits in range(finest, finest // 2 - 1, -1):
        number = int(np.rint(factor * 2.0**bits))
        if 4 * most * number < PRODUCT_LIMIT:
            return number, bits
    return None


def _exact(
    draft: Draft,
    real: RealCell,
    weights: Weights,
    constant: IntArray,
    bias: FloatArray,
    reset: Reset,
    keeps: tuple[tuple[int, int], tuple[int, int] | None],
    scale: float,
) -> bool:
    """Whether weights, bias, drop and factor are what they stand for, no step drops a bit, and no
    value that v can take lies where levels had to move.
    """
    drop = real.keep_v * real.drop * scale if real.subtract else 0.0
    numbers: list[tuple[Any, Any]] = [(constant, bias), (reset.drop, drop)]
    lost = 0
    for keep, factor in zip(keeps, (real.keep_v, real.keep_i), strict=True):
        number, bits = keep or (0, 0)
        numbers.append((number / 2.0**bits, factor))
        lost += bits - min(low_bits(np.array([number])), bits)
    if not weights.exact(real) or not all(alike(a, b) for a, b in numbers):
        return False
    values = [t.weight << t.exponent for w in weights.terms for t in w]
    spare = min(low_bits(v) for v in (*values, constant, np.array([reset.drop])))
    left = spare - lost * (draft.state.graph.timesteps - 1)
    return left >= 0 and (reset.off == 0 or _same_side(draft, reset, 1 << left, scale))


def _same_side(draft: Draft, reset: Reset, grain: int, scale: float) -> bool:
    """Whether every multiple of `grain` is on the side of the levels that it should be on."""
    of = stairs(draft.node.op)
    wanted = None if of is None else whole_levels(of, scale)
    if wanted is None:
        return False
    up, down = reset.levels.up[0], reset.levels.down[0]
    return up // grain == wanted[0][0] // grain and -(-down // grain) == -(-wanted[1][0] // grain)


def _sent(state: QuantizerState, cell: IntegerCell, values: Mapping[str, Values]) -> IntArray:
    """What the node sends on the calibration data [K, T, n], by the rules of its populations."""
    draft, node = cell.draft, cell.draft.node
    x = state.zeros(node) + cell.constant
    for j in draft.projections:
        if j.pre in values and j.pre != node.name:
            x = x + drive(state, replace(j, post=node.name), values)
    sent = np.zeros_like(x)
    kept = np.zeros(x[:, 0].shape, np.int64)
    current = np.zeros(x[:, 0].shape, np.int64)
    for t in range(x.shape[1]):
        i = x[:, t] + current
        if cell.current is not None:
            current = (i * cell.current[0]) >> cell.current[1]
        v = i + cell.late + kept
        sent[:, t] = cell.reset.levels.count(v)
        kept = (v * cell.number) >> cell.bits
        if cell.reset.drop:
            kept = kept - cell.reset.drop * sent[:, t]
        elif len(cell.reset.levels.down):
            kept = np.where(sent[:, t] != 0, 0, kept)
    return sent
