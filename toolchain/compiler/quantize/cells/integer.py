"""Integer neurons that remember: v <- keep v + x, n = round(clamp(v / threshold, 0, D)), v <- v - n
threshold, from 0 at each sample.

    A   what comes from outside, summed once
    M   the membrane: Product(v, keep), v[t] = A[t] + M[t-1] - keep * threshold * F[t-1]
    S   the node: the levels on the same v, so it receives everything that M receives
    F   S once more, silenced by a clock's tick at a sample's last step: it feeds back n[t-1]

As a cell with a reset by subtraction (`soft`), with numbers in the place of spikes: levels keep
nothing, so no threshold is shifted, and S and F compare at M's own scale.
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
from ....ir.matched import Silence, silent_side
from ....ir.neurons.product import PRODUCT_LIMIT
from ....ir.record import LayerRecord
from ....ir.wires import wires_into
from ..fit.counted import counted
from ..fit.mantissa import exact_gain
from ..fit.no_scale import no_scale
from ..fit.real import RealCell, real_cell
from ..fit.ties import alike, last_silent
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
class IntegerCell:
    """One attempt that fits; keep is number / 2**bits.

    scale  units of M per 1.0 of v;  rough: what rounding does to v, relative to the threshold
    """

    draft: Draft
    weights: Weights
    levels: p.MultiLevel
    scale: float
    number: int
    bits: int
    drop: int
    constant: IntArray
    exact: bool
    rough: float


def add_integer(state: QuantizerState, node: g.Node) -> None:
    """Append the populations, projections and record of an integer neuron that remembers.

    Raises UnsupportedError SFX-E310 if no scale fits.
    """
    op = node.op
    assert isinstance(op, g.LIF | g.IF)
    inputs = inputs_of(state, node, wires_into(state.graph, node))
    draft, real = Draft(state, node, inputs), real_cell(node, inputs)
    cell = _best(draft, real, op.most)
    if cell is None:
        raise no_scale(
            state,
            inputs,
            real,
            lambda s, r: _best(Draft(s, node, inputs), r, op.most) is not None,
        )
    made = cell.draft
    state.populations.extend(made.populations)
    state.projections.extend(made.projections)
    silent = (f"{node.name}.feedback", f"{node.name}.membrane")
    state.facts.append(f.Cell(node.name, f"{node.name}.input", silent))
    record = LayerRecord(
        node.name,
        cell.scale,
        state.arithmetic.weight_bits,
        cell.exact,
        0,
        cell.weights.error(real),
        0.0 if cell.exact else 0.5 / (real.threshold * cell.scale),
        abs(cell.number / 2.0**cell.bits - real.keep_v),
        dead=cell.weights.dead(real),
        memory_bits=memory_bits(made.projections, state.arithmetic),
    )
    target = state.target(node.name)
    if target is not None:
        before = {w.source: state.as_sent(w.source) for w in inputs.wires}
        mine, alone = (_sent(state, cell, values) for values in (state.sent, before))
        state.sent[node.name] = mine.astype(np.uint8)
        record = replace(record, **counted(np.rint(target).astype(np.int64), alone, mine))
        where = silent_side(bool(target.any()), bool(mine.any()))
        if where:
            state.silent.append(Silence(node.name, where))
    state.records.append(record)


def _best(draft: Draft, real: RealCell, most: int) -> IntegerCell | None:
    """An exact cell if there is one, else the one whose rounding disturbs least."""
    streams = draft.state.streams
    scales = [streams[w.source].scale for w in draft.inputs.wires if w.source in streams]
    base = (scales[0] if scales else exact_gain(real.weights, draft.state.every_bit)) or 1.0
    found: IntegerCell | None = None
    for power in POWERS:
        new = Draft(draft.state, draft.node, draft.inputs)
        cell = _cell(new, real, base * 2.0**power, most)
        if cell is not None and cell.exact:
            return cell
        if cell is not None and (found is None or cell.rough < found.rough):
            found = cell
    return found


def _cell(draft: Draft, real: RealCell, scale: float, most: int) -> IntegerCell | None:
    """The populations at one scale; None if a register could overflow."""
    widths = draft.state.arithmetic
    weights = all_weights(draft, real, scale)
    threshold = real.threshold * scale
    bias = np.asarray(real.bias_i + real.bias_v, np.float64) * scale
    top = max(threshold * (most + 1), float(np.abs(bias).max(initial=0)))
    if weights is None or top >= widths.payload_limit or threshold < 1:
        return None
    constant = np.broadcast_to(np.rint(bias), (draft.size,)).astype(np.int64)
    feed = outside(draft, weights, constant, scale)
    x = draft.populations[-1]
    low, high = _ends(draft, real, x.low, x.high, threshold, most)
    keep = _keep(real.keep_v, max(-low, high), widths.decay_bits)
    if keep is None or max(-low, high) >= widths.payload_limit:
        return None
    number, bits = keep
    name, drop = draft.node.name, int(np.rint(real.keep_v * threshold))
    membrane, feedback = f"{name}.membrane", f"{name}.feedback"
    levels = _levels(real.threshold * scale, most)
    if levels is None:
        return None
    kept = sorted(int(np.floor(end * number / 2.0**bits)) for end in (low, high))
    draft.add("membrane", p.Product(exp=bits), kept[0] - 1, kept[1] + 1)
    draft.to_all(GATE, membrane, number, port="a_in2")
    draft.add("feedback", levels, 0, most)
    for to, port in ((membrane, "a_in1"), (feedback, "a_in"), (name, "a_in")):
        draft.same(feed, to, 1, port=port)
        draft.same(membrane, to, 1, port=port, lag=1)
        draft.same(feedback, to, -drop, port=port, lag=1)
    received = draft.reach(membrane, "a_in1")
    most_v = int(received.largest.max(initial=0))
    silence = max(1, int(received.high.max(initial=0)))
    if 2 * most_v + silence >= widths.payload_limit or most_v * number >= PRODUCT_LIMIT:
        return None
    draft.to_all(CLOCK, feedback, -silence)
    draft.add("", levels, 0, most)
    exact = _exact(draft, real, weights, constant, bias, drop, keep, threshold)
    off = abs(number / 2.0**bits - real.keep_v)
    rough = 0.0 if exact else off * draft.state.graph.timesteps + 1.0 / threshold
    if not exact and threshold < LEAST_UNITS:
        return None
    return IntegerCell(draft, weights, levels, scale, number, bits, drop, constant, exact, rough)


def _ends(
    draft: Draft, real: RealCell, low: int, high: int, threshold: float, most: int
) -> tuple[float, float]:
    """Least and greatest v over the steps of a sample; each rounding takes off less than 1.

    After the reset v is at most half a threshold, or what D of them leave; below 0 it stays.
    """
    v = np.zeros(2)
    ends = np.zeros(2)
    for _ in range(draft.state.graph.timesteps):
        bottom = min(v[0], -threshold / 2) if v[1] > threshold / 2 else v[0]
        peak = max(min(v[1], threshold / 2), v[1] - most * threshold)
        v = real.keep_v * np.array([bottom, peak]) + [low - 2, high + 2]
        ends = np.array([min(ends[0], v[0]), max(ends[1], v[1])])
    return float(ends[0]), float(ends[1])


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


def _levels(threshold: float, most: int) -> p.MultiLevel | None:
    up = tuple(last_silent((j + 0.5) * threshold, j % 2 == 1) for j in range(most))
    return p.MultiLevel(up) if list(up) == sorted(set(up)) and up[0] >= 0 else None


def _exact(
    draft: Draft,
    real: RealCell,
    weights: Weights,
    constant: IntArray,
    bias: FloatArray,
    drop: int,
    keep: tuple[int, int],
    threshold: float,
) -> bool:
    """Whether weights, bias, drop and factor are what they stand for and no step drops a bit."""
    number, bits = keep
    numbers = ((constant, bias), (drop, real.keep_v * threshold), (number / 2.0**bits, real.keep_v))
    if not weights.exact(real) or not all(alike(a, b) for a, b in numbers):
        return False
    values = [t.weight << t.exponent for w in weights.terms for t in w]
    spare = min(low_bits(v) for v in (*values, constant, np.array([drop])))
    lost = bits - min(low_bits(np.array([number])), bits)
    return spare >= lost * (draft.state.graph.timesteps - 1)


def _sent(state: QuantizerState, cell: IntegerCell, values: Mapping[str, Values]) -> IntArray:
    """What the node sends on the calibration data [K, T, n], by the rules of its populations."""
    draft, node = cell.draft, cell.draft.node
    x = state.zeros(node) + cell.constant
    for j in draft.projections:
        if j.pre in values and j.pre != node.name:
            x = x + drive(state, replace(j, post=node.name), values)
    sent = np.zeros_like(x)
    kept = np.zeros(x[:, 0].shape, np.int64)
    for t in range(x.shape[1]):
        v = x[:, t] + kept
        sent[:, t] = cell.levels.count(v)
        kept = ((v * cell.number) >> cell.bits) - cell.drop * sent[:, t]
    return sent
