"""Parallel spiking neurons (PSN): a map of the steps of a sample, then a comparison with 0.

    P_L[s] = x[s] * w[s + L, s]              Product; the clock brings the weight of each step
    h[t]   = sum over L of P_L[t - L]        projections with the lags L, from -(T-1) to T - 1
    s[t]   = 1 where h[t] + bias[t] >= 0     MultiLevel with one level

x is a relay's. P_L reads the clock's tick of a sample's last step early, with the lag -(T - 1 - s)
and the weight w[s + L, s], so it is there at step s. Where s + L lies outside of the sample no tick
arrives and P_L is silent, so its lag brings nothing of another sample (semantics 6.6). What a step
has more of a bias than the step that has least is the clock's too. A lag whose weights are all 0
has no population: a causal map of k taps takes k Products per neuron, a full one 2T - 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...ground.arith import IntArray
from ...ground.arithmetic import Arithmetic
from ...ir import graph as g
from ...ir import program as p
from ...ir.neurons.clock import CLOCK
from ...ir.record import LayerRecord
from .cells.draft import add_helper
from .fit.terms import Term, block, constant_terms, stored_bits, whole_terms
from .fit.ties import alike
from .state.matched import fields_of
from .state.memory import memory_bits
from .state.quantizer_state import QuantizerState
from .state.values import Values, array


@dataclass(frozen=True, eq=False)
class _Fitted:
    """Integers of a map: weight [T, T], shift of each product, bias [T, n], unit per 1.0 of h.

    level  what h + level + 1 passes where h >= 0, as far above 0 as h is where it is 1.0, or as
           it can be at all: training then knows how wide a step of the neuron is
    """

    weight: IntArray
    shift: int
    bias: IntArray
    unit: float
    exact: bool
    error: float
    level: int = 0

    def diagonal(self, lag: int) -> IntArray:
        """w[s + lag, s] of every step s [T], 0 where s + lag lies outside of the sample."""
        steps = len(self.weight)
        found = np.zeros(steps, np.int64)
        for s in range(max(0, -lag), min(steps, steps - lag)):
            found[s] = self.weight[s + lag, s]
        return found

    @property
    def lags(self) -> list[int]:
        """Those that bring something."""
        steps = len(self.weight)
        return [lag for lag in range(1 - steps, steps) if self.diagonal(lag).any()]

    def range_of(self, lag: int, low: int, high: int) -> tuple[int, int]:
        """The least and the most that P_lag sends, x being in [low, high]."""
        ends = [v * int(w) >> self.shift for v in (low, high) for w in (*self.diagonal(lag), 0)]
        return min(ends), max(ends)

    def reach(self, low: int, high: int) -> int:
        """The most that all products together can add or take, x being in [low, high]."""
        return sum(max(-a, b) for a, b in (self.range_of(lag, low, high) for lag in self.lags))

    def fires(self, x: Values) -> IntArray:
        """Spikes of x [K, T, n]."""
        values = array(x).astype(np.int64)
        h = np.broadcast_to(self.bias, values.shape).copy()
        steps = values.shape[1]
        for lag in self.lags:
            sent = (values * self.diagonal(lag)[:, None]) >> self.shift
            to, of = (
                slice(max(0, lag), steps + min(0, lag)),
                slice(max(0, -lag), steps - max(0, lag)),
            )
            h[:, to] += sent[:, of]
        return (h >= 0).astype(np.int64)


def add_time_map(state: QuantizerState, node: g.Node) -> None:
    """Products, the spiking population and its record. `node` reads one relay (`PlaceRelays`)."""
    assert isinstance(node.op, g.TimeMap)
    (source,) = node.producers
    reads = state.classes[source]
    low, high = int(reads.low), int(reads.high)
    of = _fit(state, node.op, source, low, high)
    add_helper(CLOCK, state.arithmetic, state.populations, state.projections)
    made: list[p.Projection] = []
    for lag in of.lags:
        made += _product(state, node, of, lag, source)
    least = of.bias.min(axis=0)
    made += _biases(state, node, of.bias - least)
    neuron = p.MultiLevel((of.level,), (), (least + of.level + 1).reshape(node.shape))
    state.populations.append(p.Population(node.name, node.shape, neuron, 0, 1, -1, node.module))
    state.projections.extend(made)
    state.records.append(_record(state, node, of, made, source))


def _fit(state: QuantizerState, op: g.TimeMap, source: str, low: int, high: int) -> _Fitted:
    """The smallest power of two at which the weights are whole numbers, or the largest there is;
    then the smallest shift at which every sum fits a payload.
    """
    widths, stream = state.arithmetic, state.streams.get(source)
    gain = _gain(op.weight, max(-low, high, 1), widths)
    weight = np.rint(op.weight * gain).astype(np.int64)
    scale = 1.0 if stream is None else stream.scale
    rest = np.zeros(state.size(source)) if stream is None else stream.bias
    bias = op.bias[:, None] + op.weight.sum(axis=1)[:, None] * rest
    kept = bool(np.all(weight == op.weight * gain))
    error = float(np.sqrt(np.mean((weight / gain - op.weight) ** 2)))
    error /= float(np.sqrt(np.mean(op.weight**2))) or 1.0
    found = _Fitted(weight, 0, np.zeros(bias.shape, np.int64), scale * gain, kept, error)
    while (most := found.reach(low, high)) * 3 + 6 >= widths.payload_limit:
        found = replace(found, shift=found.shift + 1, unit=found.unit / 2, exact=False)
    # a bias that outweighs all that can arrive decides alone, however large it is
    wanted = np.clip(bias * found.unit, -most - 2, most + 2)
    ints = np.rint(wanted).astype(np.int64)
    level = int(min(found.unit, most))
    return replace(found, bias=ints, exact=found.exact and alike(ints, wanted), level=level)


def _gain(weight: g.FloatArray, most: int, widths: Arithmetic) -> float:
    """A power of two by which the weights of the steps are multiplied."""
    largest = float(np.abs(weight).max(initial=0.0))
    limit = min(block(widths), (1 << 31) // most - 1)
    finest = int(np.floor(np.log2(limit / largest))) if largest else 0
    for power in range(min(0, finest), finest):
        if np.all(weight * 2.0**power == np.rint(weight * 2.0**power)):
            return 2.0**power
    return 2.0**finest


def _product(
    state: QuantizerState, node: g.Node, of: _Fitted, lag: int, source: str
) -> list[p.Projection]:
    """P_lag with what feeds it, and what it sends to the spiking population."""
    reads, steps = state.classes[source], state.graph.timesteps
    name = f"{node.name}.lag{lag}"
    low, high = of.range_of(lag, int(reads.low), int(reads.high))
    state.populations.append(p.Population(name, node.shape, p.Product(of.shift), low, high))
    identity = p.Structured.one_to_one(node.shape)
    made = [p.Projection(f"{source}->{name}", source, name, identity, "a_in1")]
    for s, w in enumerate(of.diagonal(lag)):
        # both terms of the weight's sign: what either may bring alone is no more than both
        for i, t in enumerate(_terms(int(w), state.arithmetic)):
            tick = p.Structured.to_all(node.shape, int(np.sign(w) * t.weight[0]))
            tag = f"{CLOCK}->{name}@{s}" + (f"#{i}" if i else "")
            at = s + 1 - steps
            made.append(p.Projection(tag, CLOCK, name, tick, "a_in2", t.exponent, lag=at))
    made.append(p.Projection(f"{name}->{node.name}", name, node.name, identity, lag=lag))
    return made


def _terms(weight: int, widths: Arithmetic) -> tuple[Term, ...]:
    """What one weight takes, whatever its sign; nothing if it is 0."""
    terms = whole_terms(np.array([abs(weight)]), widths) if weight else ()
    assert terms is not None, "the gain keeps every weight within two terms"
    return terms


def _biases(state: QuantizerState, node: g.Node, rows: IntArray) -> list[p.Projection]:
    """What the clock adds at every step, rows [T, n] >= 0: itself, and by a relay what is large.

    A term holds 15 bits, h has 23: the relay sends whole multiples of the largest power of two.
    """
    widths = state.arithmetic
    large = 1 << (block(widths).bit_length() - 1)
    if rows.max(initial=0) <= 2 * block(widths):
        return _ticks(state, rows, node.name)
    name, many = f"{node.name}.bias", rows // large
    state.populations.append(p.Population(name, node.shape, p.Graded(), 0, int(many.max())))
    made = _ticks(state, many, name) + _ticks(state, rows - many * large, node.name)
    (term,) = whole_terms(np.array([large]), widths) or ()
    times = p.Structured.one_to_one(node.shape, int(term.weight[0]))
    made.append(p.Projection(f"{name}->{node.name}", name, node.name, times, "a_in", term.exponent))
    return made


def _ticks(state: QuantizerState, rows: IntArray, post: str) -> list[p.Projection]:
    """The clock brings rows [T, n] to the neurons of `post`, each at its step."""
    made: list[p.Projection] = []
    for t, row in enumerate(rows):
        for i, term in enumerate(constant_terms(row, state.arithmetic)):
            weights = p.Dense(term.weight.reshape(-1, 1))
            name = f"{CLOCK}->{post}@{t}" + (f"#{i}" if i else "")
            at = t + 1 - len(rows)
            made.append(p.Projection(name, CLOCK, post, weights, "a_in", term.exponent, lag=at))
    return made


def _record(
    state: QuantizerState, node: g.Node, of: _Fitted, made: list[p.Projection], source: str
) -> LayerRecord:
    """What rounding did; on the data, spikes beside the float model's."""
    data: dict[str, float | int] = {}
    target = state.target(node.name)
    if target is not None:
        alone, mine = of.fires(state.as_sent(source)), of.fires(state.sent[source])
        state.sent[node.name] = mine.astype(np.uint8)
        state.listen(node.name, target, mine)
        data = fields_of(target, alone, mine)
    widths = state.arithmetic
    return LayerRecord(
        node.name,
        of.unit,
        stored_bits((_terms(int(w), widths) for w in of.weight.flat), state.every_bit),
        of.exact,
        0,
        of.error,
        0.0,
        0.0,
        memory_bits=memory_bits(made, widths),
        **data,  # type: ignore[arg-type]  # named as the fields
    )
