"""A reset by subtraction whose threshold is compared in 32 bits: where a LIF's 17 are too few.

    P   -1 where v is above the threshold, else 0: Product(threshold - v, 1) >> 31, the sign of v
    F   the same, gated: 0 at a sample's last step. It feeds back, so weights on it are negated
    M   the membrane and, with a synaptic current, I: as in `soft`
    A   what comes from outside, summed once, with more low bits than M where weights are rounded
    L   where the product has no space for the bits of a decay: what M loses. M sends all of v then,
        and the little that it loses a step is a small number of more bits: Product(v, 1 - keep)
    S   the node: a stateless LIF that makes P's -1 a spike, one step later

The stateless LIF of `soft` receives v with 17 bits, its far negative values included. Here nothing
is coarser than the membrane, and F is silent at a sample's end whatever v is. It costs one more
population and one more step.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....ground.arith import IntArray
from ....ir import program as p
from ....ir.graph import FloatArray
from ....ir.neurons.clock import CLOCK
from ....ir.neurons.product import PRODUCT_LIMIT
from ..fit.real import RealCell
from ..fit.terms import stored_bits
from ..fit.ties import last_silent
from .draft import GATE, ONE, Draft
from .states import Integers, Keep, ends_of, full, grain_of, integers_of, keep_of, sent_of
from .terms import Cell, Weights, all_weights, outside

SIGN = 31
"""Bits by which a 32-bit number is shifted until only its sign is left: -1 or 0."""
MOST_DECAY_BITS = 16
"""Of a factor: a membrane that went far from its threshold needs more than a LIF's decay has."""
MOST_CONSTANT = 1 << 16
"""Thresholds and other constants stay below: each 32512 of them take one more projection."""
FINER = 4
"""Low bits that A may have beyond M: it rounds once a step, not once per weight."""


def compared_cell(
    draft: Draft, real: RealCell, scale: float, offset: FloatArray | float = 0.0
) -> Cell | None:
    """The populations at `scale` units of M per 1.0 of v; None if a register could overflow.

    offset  how far v is above the real one where it meets the threshold, beyond the half unit that
            each floor takes on average (units of M, of each neuron): the threshold follows
    """
    return _cell_with(_states_of(draft, real, leaks=False), draft, real, scale, offset)


def leaking_cell(
    draft: Draft, real: RealCell, scale: float, offset: FloatArray | float = 0.0
) -> Cell | None:
    """As `compared_cell`, with L."""
    return _cell_with(_states_of(draft, real, leaks=True), draft, real, scale, offset)


@dataclass(frozen=True)
class _State:
    """M, L or I: a population that a cell keeps its state in.

    sign  of what it adds to v a step later
    of_v  what it keeps is a part of v; of the current otherwise
    """

    name: str
    part: str
    sign: int = 1
    of_v: bool = True


def _states_of(draft: Draft, real: RealCell, *, leaks: bool) -> tuple[_State, ...]:
    def state(part: str, **how: Any) -> _State:
        return _State(f"{draft.node.name}.{part}", part, **how)

    leak = [state("leak", sign=-1)] if leaks else []
    current = [state("current", of_v=False)] if real.keep_i else []
    return (state("membrane"), *leak, *current)


@dataclass(frozen=True, eq=False)
class _Gathered:
    """A draft that has A, of 2**finer times the scale of M.

    weights, negated: on spikes, those from outside into A; and on F's -1
    """

    draft: Draft
    feed: str
    weights: Weights
    negated: Weights
    finer: int


def _gathered(draft: Draft, real: RealCell, scale: float) -> _Gathered | None:
    """With as many low bits for rounded weights as A has space for."""
    own = [draft.is_own(wire) for wire in draft.inputs.wires]
    turned = tuple(-w if mine else w for w, mine in zip(real.weights, own, strict=True))
    rounded = tuple(
        -r if mine and r is not None else r for r, mine in zip(real.rounded, own, strict=False)
    )
    negated = all_weights(draft, replace(real, weights=turned, rounded=rounded), scale)
    plain = all_weights(draft, real, scale)
    if plain is None or negated is None:
        return None
    most = 0 if plain.exact(real) else min(FINER, -draft.state.arithmetic.weight_exp[0])
    for finer in range(most, -1, -1):
        weights = all_weights(draft, real, scale, finer)
        constant = np.rint(_through(real) * scale * 2.0**finer).astype(np.int64)
        if weights is None or np.abs(constant).max(initial=0) >= MOST_CONSTANT:
            continue
        made = draft.fresh(draft.seen)
        half = (1 << finer) >> 1
        total, fine = full(made, constant + half), scale * 2.0**finer
        feed = outside(made, weights, total, fine, real.threshold, half)
        if int(made.reach(feed).largest.max(initial=0)) < made.state.arithmetic.payload_limit:
            return _Gathered(made, feed, weights, negated, finer)
    return None


def _cell_with(
    states: tuple[_State, ...],
    draft: Draft,
    real: RealCell,
    scale: float,
    offset: FloatArray | float,
) -> Cell | None:
    """A, and everything that reads it."""
    found = _gathered(draft, real, scale)
    (_, into_v), drop, first = integers = integers_of(real, scale)
    largest = max(float(np.abs(into_v).max(initial=0)), abs(drop), abs(first))
    if found is None or max(largest, real.threshold * scale) >= MOST_CONSTANT:
        return None
    draft, name = found.draft, draft.node.name
    feedback, compare = f"{name}.feedback", f"{name}.compare"
    draft.add("feedback", p.Product(exp=SIGN), -1, 0)
    draft.to_all(GATE, feedback, 1, port="a_in2")
    for s in states:
        draft.same(found.feed, s.name, 1, -found.finer, port="a_in1")
        for wire, bare, t in draft.own(found.negated.terms):
            draft.wire(wire, bare, t, s.name, pre=feedback, port="a_in1", lag=1)
    keeps = _kept(draft, real, scale, states, integers)
    if keeps is None:
        return None
    for s in states:
        if s.of_v:
            draft.same(feedback, s.name, drop, port="a_in1", lag=1)
            draft.constant(s.name, full(draft, into_v), port="a_in1")
            draft.to_all(CLOCK, s.name, first, port="a_in1", lag=1)
    grain = grain_of(draft, real, found.weights, scale, keeps, integers)
    threshold = full(draft, np.rint(_threshold(draft, real, scale, keeps, grain) + offset))
    draft.add("compare", p.Product(exp=SIGN), -1, 0)
    draft.to_all(ONE, compare, 1, port="a_in2")
    for to in (compare, feedback):
        _threshold_less_v(found, to, states, threshold, integers)
    names = tuple(s.name for s in states)
    if not _fit(draft, (feedback, compare, *names), abs(first), keeps):
        return None
    widths = draft.state.arithmetic
    draft.add("", p.LIF(widths.full_decay, widths.full_decay, 0, reset=False))
    draft.same(compare, name, -1)
    return _cell(draft, real, found.weights, scale, keeps, grain, (feedback, *names))


def _threshold_less_v(
    found: _Gathered,
    to: str,
    states: tuple[_State, ...],
    threshold: IntArray,
    integers: Integers,
) -> None:
    """The projections that bring `threshold` - v to P or F."""
    draft, feedback = found.draft, f"{found.draft.node.name}.feedback"
    (_, into_v), drop, first = integers
    draft.same(found.feed, to, -1, -found.finer, port="a_in1")
    for s in states:
        draft.same(s.name, to, -s.sign, port="a_in1", lag=1)
    for wire, bare, t in draft.own(found.weights.terms):
        draft.wire(wire, bare, t, to, pre=feedback, port="a_in1", lag=1)
    draft.same(feedback, to, -drop, port="a_in1", lag=1)
    # A - v is shifted down and not v, which rounds the other way: by one unit, but for ties.
    draft.constant(to, threshold + (found.finer > 0) - full(draft, into_v), port="a_in1")
    draft.to_all(CLOCK, to, -first, port="a_in1", lag=1)


def _through(real: RealCell) -> FloatArray:
    """The constant that goes the way of what arrives."""
    return real.bias_i if real.keep_i else real.bias_i + real.bias_v


def _kept(
    draft: Draft,
    real: RealCell,
    scale: float,
    states: tuple[_State, ...],
    integers: Integers,
) -> tuple[Keep, Keep] | None:
    """Adds M, L and I; what is kept of v and of the current, None if no factor has space."""
    leaks = any(s.sign < 0 for s in states)
    (_, into_v), drop, first = integers
    membrane = states[0].name
    x = draft.reach(membrane, "a_in1", worst=True)
    worst = ends_of(draft, real, x, into_v, drop, first, scale)
    ends = worst if draft.seen is None else worst.within(draft.seen, scale)
    if ends.most >= draft.state.arithmetic.payload_limit:
        return None
    room = float(draft.reach(membrane, "a_in1").largest.max(initial=0))
    room += max(map(abs, ends.v)) * (2 - real.keep_v if leaks else 1)
    room += max(map(abs, ends.i)) if real.keep_i else 0
    room += abs(drop) + abs(first) + float(np.abs(into_v).max(initial=0)) + 4
    keep_v = _leak_of(real.keep_v, room) if leaks else keep_of(real.keep_v, room, MOST_DECAY_BITS)
    keep_i = keep_of(real.keep_i, room, MOST_DECAY_BITS)
    if keep_v is None or keep_i is None:
        return None
    part = Keep(keep_v.number, keep_v.bits)  # of v, that M keeps or L takes
    sends = {"membrane": Keep(1, 0) if leaks else part, "leak": part, "current": keep_i}
    for s in states:
        keep = sends[s.part]
        by_proof, reached = (sent_of(e.v if s.of_v else e.i, keep) for e in (worst, ends))
        draft.add_graded(s.part, p.Product(exp=keep.bits), by_proof, reached)
        draft.to_all(GATE, s.name, keep.number, port="a_in2")
        for to in states:
            if to.of_v or not s.of_v:
                draft.same(s.name, to.name, s.sign, port="a_in1", lag=1)
    return keep_v, keep_i


def _leak_of(factor: float, most: float) -> Keep | None:
    """What is missing of 1, if it has bits that the factor itself has no space for."""
    lost = keep_of(1 - factor, most, MOST_DECAY_BITS)
    return None if lost is None else replace(lost, leaks=True)


def _threshold(
    draft: Draft, real: RealCell, scale: float, keeps: tuple[Keep, Keep], grain: float | None
) -> int:
    """The largest v that does not fire, in units of M."""
    at = real.threshold * scale
    if grain is not None:
        return int(last_silent(at / grain, real.reached) * grain)
    return last_silent(at - _sunk(draft, real, keeps), real.reached)


def _sunk(draft: Draft, real: RealCell, keeps: tuple[Keep, Keep]) -> float:
    """How far the floors of I and M lower v on average, in units of M."""
    steps = float(draft.state.graph.timesteps)
    lost_v, lost_i = (0.5 if k.lost else 0.0 for k in keeps)
    lost_v = -lost_v if keeps[0].leaks else lost_v  # L's floor leaves v the more
    through_i = lost_i * min(1 / (1 - real.keep_i), steps) if real.keep_i else 0.0
    stays = min(1 / (1 - real.keep_v), steps) if real.keep_v < 1 else steps
    return (lost_v + through_i) * stays


def _fit(draft: Draft, names: tuple[str, ...], once: int, keeps: tuple[Keep, Keep]) -> bool:
    """Every sum is a payload, and every product with a gate has 32 bits."""
    most = max(int(draft.reach(n, "a_in1").largest.max(initial=0)) + once for n in names)
    largest = max(1, keeps[0].number, keeps[1].number)
    return most < draft.state.arithmetic.payload_limit and most * largest < PRODUCT_LIMIT


def _cell(
    draft: Draft,
    real: RealCell,
    weights: Weights,
    scale: float,
    keeps: tuple[Keep, Keep],
    grain: float | None,
    silent: tuple[str, ...],
) -> Cell:
    """The attempt as the record wants it."""
    slow = [1 - k + 1 / draft.state.graph.timesteps for k in (real.keep_v, real.keep_i)]
    off = [abs(k.value - r) for k, r in zip(keeps, (real.keep_v, real.keep_i), strict=True)]
    units = max(real.threshold * scale, 0.5)
    rough = 0.0 if grain is not None else 0.5 / units * (1 / slow[0] + 1 / slow[1])
    at = real.threshold * scale
    return Cell(
        tuple(draft.populations),
        tuple(draft.projections),
        draft.origins,
        scale,
        grain is not None,
        weights.error(real),
        stored_bits(weights.terms, draft.state.bits_of(draft.node)),
        weights.dead(real),
        0.0 if grain is not None else abs(np.rint(at) - at) / (at or 1.0),
        max(off),
        int(at),
        rough + off[0] / slow[0] + off[1] / slow[1],
        soft=True,
        silent=silent,
        fires=f"{draft.node.name}.compare",
    )
