"""Neurons with a reset by subtraction. Lava's LIF resets to 0 only, so the membrane is graded.

    M   the membrane: Product(v, keep), v[t] = x[t] + M[t-1] - keep * drop * S[t-1], sends keep * v
    S   the node: a threshold on the same v, so it receives everything that M receives
    F   S once more, silenced by a clock's tick at a sample's last step: it feeds back S[t-1]
    I   with a synaptic current: Product(i, keep_i), i[t] = x[t] + I[t-1], which M, S and F receive
    A   what comes from outside, summed once

`keep` is the weight of the gate, which is 0 at a sample's last step: M and I send nothing into the
next sample. Every loop is one projection long, so one model step takes one hardware step. S has to
forget v at once, of which Lava's slowest memory (dv = 4095) keeps v / 4096: a shift of the
threshold of the size of a 12-bit decay's rounding, and none where v has fewer bits.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ....ground.arith import INPUT_SHIFT
from ....ground.arithmetic import Arithmetic
from ....ir import program as p
from ....ir.bound import Bound
from ....ir.neurons.clock import CLOCK
from ....ir.neurons.product import PRODUCT_LIMIT
from ..fit.real import RealCell
from ..fit.terms import stored_bits
from ..fit.ties import last_silent, threshold_integer
from .draft import GATE, Draft
from .states import Integers, Keep, ends_of, full, grain_of, integers_of, keep_of, sent_of
from .terms import Cell, Weights, all_weights, low_bits, outside


def soft_cell(draft: Draft, real: RealCell, scale: float) -> Cell | None:
    """The populations at `scale` units of M per 1.0 of v; None if a register could overflow."""
    weights = all_weights(draft, real, scale)
    if weights is None:
        return None
    name = draft.node.name
    membrane, current, feedback = (f"{name}.{k}" for k in ("membrane", "current", "feedback"))
    constant, drop, first = integers_of(real, scale)
    numbers = (*constant, np.array([drop, first, real.threshold * scale]))
    widths = draft.state.arithmetic
    if max(float(np.abs(n).max(initial=0)) for n in numbers) >= widths.input_limit:
        return None
    feed = outside(draft, weights, full(draft, constant[0]), scale, real.threshold)
    stateless = p.LIF(du=widths.full_decay, dv=widths.full_decay, vth=0)
    draft.add("feedback", stateless)
    into = [membrane, current] if real.keep_i else [membrane]
    for to in into:
        draft.same(feed, to, 1, port="a_in1")
        for wire, bare, t in draft.own(weights.terms):
            draft.wire(wire, bare, t, to, pre=feedback, port="a_in1", lag=1)
    ends = ends_of(draft, real, draft.reach(membrane, "a_in1"), constant[1], drop, first, scale)
    keeps = [keep_of(k, 4 * ends.most, widths.decay_bits) for k in (real.keep_v, real.keep_i)]
    if ends.most >= widths.payload_limit or None in keeps:
        return None
    keep_v, keep_i = (k for k in keeps if k is not None)
    for to, keep, reach in zip(into, (keep_v, keep_i), (ends.v, ends.i), strict=False):
        draft.add(to.removeprefix(f"{name}."), p.Product(exp=keep.bits), *sent_of(reach, keep))
        draft.to_all(GATE, to, keep.number, port="a_in2")
    for source in into:
        for to in into if source == current else [membrane]:
            draft.same(source, to, 1, port="a_in1", lag=1)
    draft.same(feedback, membrane, -drop, port="a_in1", lag=1)
    draft.constant(membrane, full(draft, constant[1]), port="a_in1")
    draft.to_all(CLOCK, membrane, first, port="a_in1", lag=1)
    total = draft.reach(membrane, "a_in1")
    most = int(total.largest.max(initial=0)) + abs(first)
    if most >= widths.payload_limit or most * max(keep_v.number, keep_i.number) >= PRODUCT_LIMIT:
        return None
    shift = _shift(total, abs(first), widths)
    if shift is None:
        return None
    return _spikes(draft, real, weights, scale, shift, (keep_v, keep_i), (constant, drop, first))


def _shift(total: Bound, first: int, widths: Arithmetic) -> int | None:
    """Exponent from units of M to units of S, so that a_in has space for the tick as well."""
    span = int(-total.low.min(initial=0)) + 2 * int(total.high.max(initial=0)) + 3 * first + 16
    spare = widths.input_limit - (1 << INPUT_SHIFT)
    shift = int(np.floor(np.log2(spare / span))) if spare > 0 else widths.weight_exp[0] - 1
    return min(shift, widths.weight_exp[1]) if shift >= widths.weight_exp[0] else None


def _coarse(
    draft: Draft, real: RealCell, weights: Weights, scale: float, shift: int
) -> Weights | None:
    """The weights in units of S. Of few bits they are those of M, whose low bits are 0: the shift
    takes no bit away. None if it would, or no exponent says it.
    """
    bits, unit = draft.state.bits_of(draft.node), 2.0**shift
    if bits.used == bits.held:
        return all_weights(draft, real, scale * unit)
    own = [t for _, _, terms in draft.own(weights.terms) for t in terms]
    least, most = draft.state.arithmetic.weight_exp
    held = all(max(least, -low_bits(t.weight)) <= t.exponent + shift <= most for t in own)
    if not held:
        return None
    terms = tuple(
        tuple(replace(t, exponent=t.exponent + shift, scale=t.scale * unit) for t in some)
        for some in weights.terms
    )
    return Weights(terms, tuple(s * unit for s in weights.scales))


def _spikes(
    draft: Draft,
    real: RealCell,
    weights: Weights,
    scale: float,
    shift: int,
    keeps: tuple[Keep, Keep],
    integers: Integers,
) -> Cell | None:
    """S and F: what M receives, in units of a_in."""
    (_, into_v), drop, first = integers
    widths = draft.state.arithmetic
    name, unit = draft.node.name, 2.0**shift
    feedback = f"{name}.feedback"
    coarse = _coarse(draft, real, weights, scale, shift)
    if coarse is None:
        return None
    sources = [q for q in ("input", "membrane", "current") if draft.has(q)]
    for to in (name, feedback):
        for part in sources:
            draft.same(f"{name}.{part}", to, 1, shift, lag=int(part != "input"))
        draft.same(feedback, to, -int(np.rint(drop * unit)), lag=1)
        draft.constant(to, full(draft, np.rint(into_v * unit).astype(np.int64)))
        draft.to_all(CLOCK, to, int(np.rint(first * unit)), lag=1)
        for wire, bare, t in draft.own(coarse.terms):
            draft.wire(wire, bare, t, to, pre=feedback, lag=1)
    received = draft.reach(feedback)
    most, once = int(received.high.max(initial=0)), abs(int(np.rint(first * unit)))
    silence = max(1, most + once)
    if int(received.largest.max(initial=0)) + once + silence >= widths.input_limit:
        return None
    draft.to_all(CLOCK, feedback, -silence)
    grain = grain_of(draft, real, weights, scale, keeps, integers)
    forgets = grain is not None and _forgets(received, once, grain * unit, widths)
    floors = len(sources) * (shift < 0)
    if forgets and grain is not None:
        silent = last_silent(real.threshold * scale / grain, real.reached)
        vth = int((silent * grain + grain / 2) * unit)
    elif not floors:
        vth, _ = threshold_integer(real.threshold, scale * unit, real.reached)
    else:
        at = real.threshold * scale * unit
        # Where the weights are exact, v may stand on a whole threshold: it has lost nothing to the
        # floors then and does not fire. Rounded weights make no such ties, and each floor takes
        # half a unit on average.
        tie = at == np.rint(at) and not real.reached and weights.exact(real)
        vth = int(at) if tie else int(np.rint(at - floors / 2))
    if not 0 <= vth < widths.reached_threshold:
        return None
    neuron = p.LIF(du=widths.full_decay, dv=widths.full_decay, vth=vth)
    draft.alter("feedback", neuron)
    draft.add("", neuron)
    slow = [1 - k + 1 / draft.state.graph.timesteps for k in (real.keep_v, real.keep_i)]
    off = [abs(k.value - r) for k, r in zip(keeps, (real.keep_v, real.keep_i), strict=True)]
    units = max(real.threshold * scale, 0.5)
    rough = 0.0 if forgets else 0.5 / units * (1 / slow[0] + 1 / slow[1]) + 0.5 / (units * unit)
    rough += off[0] / slow[0] + off[1] / slow[1]
    error = 0.0 if forgets else abs((vth + floors / 2) / (scale * unit) - real.threshold)
    return Cell(
        tuple(draft.populations),
        tuple(draft.projections),
        draft.origins,
        scale,
        forgets,
        weights.error(real),
        stored_bits(weights.terms, draft.state.bits_of(draft.node)),
        weights.dead(real),
        error / (real.threshold or 1.0),
        max(off),
        vth,
        rough,
        (feedback, *(f"{name}.{part}" for part in sources if part != "input")),
        True,
    )


def _forgets(received: Bound, once: int, grain: float, widths: Arithmetic) -> bool:
    """What S keeps of v (a 4096th at 12 bits) is less than half the step in which v lies.

    received, grain in units of a_in; half a step must be a whole unit to put the threshold there.
    """
    left = (int(received.largest.max(initial=0)) + once) >> (widths.decay_bits - INPUT_SHIFT)
    return grain >= 2 and left + 2 < grain * (1 << INPUT_SHIFT) / 2
