"""Neurons with a hard reset and a synaptic current, a loop onto themselves or an initial state.

    S   the node: Lava's LIF, whose du is the current's decay
    R   the same neuron with the same inputs, silenced by a clock's tick at a sample's last step:
        what it sends back one step later never reaches the next sample. S -> outside, R -> S, R
    A   what both receive from outside, summed once, with more low bits than they have

The initial state is a weight from the clock with lag 1: its tick at the step before a sample
arrives at the sample's first step. Where a current would keep it, lag 2 takes it away again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ground.arith import INPUT_SHIFT, IntArray
from ....ground.arithmetic import Arithmetic
from ....ir import program as p
from ....ir.bound import Bound
from ....ir.graph import FloatArray
from ....ir.neurons.clock import CLOCK
from ....ir.neurons.leaky import current_bound
from ....ir.sample_end import silencing_tick
from ....ir.single import TIE
from ..fit.lif import bias_integers
from ..fit.real import RealCell
from ..fit.terms import stored_bits
from ..fit.ties import alike, between, threshold_integer
from .draft import Draft
from .terms import (
    Cell,
    Weights,
    all_weights,
    low_bits,
    outside,
)

FINER = 4
"""Low bits that A has beyond S, where weights are rounded: it rounds once, not per weight."""


def hard_cell(draft: Draft, real: RealCell, scale: float) -> Cell | None:
    """The populations at `scale` units of a_in per 1.0 of v; None if a register could overflow."""
    made = _neuron(draft, real, scale)
    weights = all_weights(draft, real, scale)
    limit = draft.state.arithmetic.input_limit
    large = max(np.abs(real.bias_i).max(initial=0), abs(real.first)) * scale >= limit
    if made is None or weights is None or large:
        return None
    neuron = made.neuron
    recurrent = any(draft.is_own(w) for w in draft.inputs.wires)
    copies = [draft.node.name]
    if recurrent:
        copies = [draft.add("feedback", neuron), *copies]
        weights = _gathered(draft, real, scale, weights, copies)
        gathered = draft.reach(f"{draft.node.name}.input").largest.max(initial=0)
        if int(gathered) >= draft.state.arithmetic.payload_limit:
            return None
    else:
        for wire, bare, t in zip(draft.inputs.wires, draft.inputs.bare, weights.terms, strict=True):
            draft.wire(wire, bare, t, draft.node.name)
        constant = np.rint(_constant(real) * scale).astype(np.int64)
        draft.bias(draft.node.name, constant, real.threshold * scale)
    draft.add("", neuron)
    # R and not S feeds back: S fires at a sample's last step as well, and the lag of one step would
    # bring that into the next sample.
    for wire, bare, t in draft.own(weights.terms):
        for copy in copies:
            draft.wire(wire, bare, t, copy, pre=copies[0], lag=1)
    start = _start(draft, real, copies, scale)
    received = draft.reach(draft.node.name)
    once = abs(start[0]) + abs(start[1])
    # After all that drives R is wired: the tick has to outweigh the sum of it.
    steps, widths = draft.state.graph.timesteps, draft.state.arithmetic
    silence = silencing_tick(neuron, received, steps, widths, once) if recurrent else 0
    if not _fits(draft, neuron, received, once + silence):
        return None
    if silence:
        draft.to_all(CLOCK, copies[0], -silence)
    error = weights.error(real)
    return Cell(
        tuple(draft.populations),
        tuple(draft.projections),
        draft.origins,
        scale * (1 << INPUT_SHIFT),
        weights.exact(real) and made.exact and _exact(draft, real, scale, weights, made, start),
        error,
        stored_bits(weights.terms, draft.state.bits_of(draft.node)),
        weights.dead(real),
        made.threshold_error,
        made.decay_error,
        neuron.vth,
        silent=(copies[0],) if recurrent else (),
    )


@dataclass(frozen=True, eq=False)
class _Neuron:
    widths: Arithmetic
    neuron: p.LIF
    exact: bool
    threshold_error: float
    decay_error: float

    @property
    def kept(self) -> tuple[int, int]:
        """What v and u keep of 4096 (at decays of 12 bits)."""
        return self.widths.decay_unity - self.neuron.dv, self.widths.full_decay - self.neuron.du


def _constant(real: RealCell) -> FloatArray:
    """What every step adds to the current; without a current it is a bias of v."""
    return real.bias_i if real.keep_i else np.zeros_like(real.bias_i)


def _neuron(draft: Draft, real: RealCell, scale: float) -> _Neuron | None:
    unit = scale * (1 << INPUT_SHIFT)
    bias = np.zeros(draft.size) + real.bias_v + (real.bias_i - _constant(real))
    widths = draft.state.arithmetic
    large = np.abs(bias * unit).max(initial=0) > widths.largest_bias
    if large or real.threshold * unit >= widths.state_limit:
        return None
    vth, inclusive = threshold_integer(real.threshold, scale, real.reached)
    if vth >= widths.reached_threshold:
        return None
    mant, exp = bias_integers(bias * unit, widths)
    unity, full = widths.decay_unity, widths.full_decay
    du = full - int(np.rint(real.keep_i * unity))
    dv = min(int(np.rint((1 - real.keep_v) * unity)), full)
    neuron = p.LIF(du, dv, vth, mant.reshape(draft.node.shape), exp)
    off = max(
        abs(dv / unity - (1 - real.keep_v)),
        abs((full - du) / unity - real.keep_i),
    )
    exact = off <= TIE and alike(mant << exp, bias * unit)
    relative = abs((vth + inclusive) / scale - real.threshold) / (real.threshold or 1.0)
    return _Neuron(widths, neuron, exact, relative, off)


def _gathered(
    draft: Draft, real: RealCell, scale: float, weights: Weights, copies: list[str]
) -> Weights:
    """A, with spare low bits where weights are rounded; half a unit makes the floor a nearest."""
    finer = 0
    most = min(FINER, -draft.state.arithmetic.weight_exp[0])
    for bits in range(0 if weights.exact(real) else most, 0, -1):
        fine = all_weights(draft, real, scale, bits)
        if fine is not None:
            weights, finer = fine, bits
            break
    half = (1 << finer) >> 1
    constant = np.rint(_constant(real) * scale * 2.0**finer).astype(np.int64) + half
    feed = outside(draft, weights, constant, scale * 2.0**finer, real.threshold, half)
    for copy in copies:
        draft.same(feed, copy, 1, -finer)
    return weights


def _start(draft: Draft, real: RealCell, copies: list[str], scale: float) -> tuple[int, int]:
    """The initial state: what the clock adds at the first step, and at the second."""
    first = int(np.rint(real.first * scale))
    later = draft.state.graph.timesteps > 1
    second = -int(np.rint(real.keep_i * first)) if later else 0
    for copy in copies:
        draft.to_all(CLOCK, copy, first, lag=1)
        draft.to_all(CLOCK, copy, second, lag=2)
    return first, second


def _fits(draft: Draft, neuron: p.LIF, received: Bound, once: int) -> bool:
    """a_in, u and v provably stay inside their registers over a sample."""
    timesteps, widths = draft.state.graph.timesteps, draft.state.arithmetic
    if int(received.largest.max(initial=0)) + once >= widths.input_limit:
        return False
    u = int(current_bound(neuron, received, timesteps, widths).largest.max(initial=0))
    u += once << INPUT_SHIFT
    keep = 1 - neuron.dv / widths.decay_unity
    # A reset ends each sample, so v is at most a geometric sum of the largest u over its steps.
    steps = timesteps if keep == 1 else (1 - keep**timesteps) / (1 - keep)
    bias = int(np.abs(neuron.bias_mant << neuron.bias_exp).max(initial=0))
    return u < widths.state_limit and steps * (u + bias) < widths.state_limit - 1


def _exact(
    draft: Draft,
    real: RealCell,
    scale: float,
    weights: Weights,
    made: _Neuron,
    start: tuple[int, int],
) -> bool:
    """No constant is rounded, and no decay of a sample drops a set bit."""
    constant: IntArray = np.rint(_constant(real) * scale).astype(np.int64)
    if not alike(constant, _constant(real) * scale) or not alike(start[0], real.first * scale):
        return False
    if start[1] and not alike(start[1], -real.keep_i * start[0]):
        return False
    # u and v each lose theirs, v on top of what u has lost by then: the greater one per step
    unity, bits = made.widths.decay_unity, made.widths.decay_bits
    lost = max(0 if k in (0, unity) else bits - low_bits(np.array([k])) for k in made.kept)
    values = [t.weight << t.exponent for w in weights.terms for t in w]
    spare = min(low_bits(v) for v in [*values, constant, np.array(start)]) + INPUT_SHIFT
    spare = min(spare, low_bits(made.neuron.bias_mant << made.neuron.bias_exp))
    spare -= lost * (draft.state.graph.timesteps - 1)
    threshold, vth = real.threshold * scale * (1 << INPUT_SHIFT), made.neuron.vth
    grain = 2.0**spare
    return spare >= 0 and vth == between(vth, threshold, real.reached, grain, 1 << INPUT_SHIFT)
