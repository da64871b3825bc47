"""Fits the integers of one LIF population to the calibration data.

The population must do on the integers it really receives what the float layer would do on them:
its target is the float layer's own spikes for that input, not those of the undisturbed model. (A
fit to the undisturbed spikes explains noise of the layers before by smaller weights; measured on
the digits net at 4 bits it doubles the error of the logits.)

1. scales: shares of the largest weight, rounded to the nearest;
2. compensated rounding at a few scales, the channels with exponents of their own at few bits;
3. the rounding search from the best of them.
Whatever has the fewest wrong spikes on all calibration samples is taken, so no step can make it
worse there. Steps 2 and 3 work on a sample of lanes and are left out where `effort` does not pay
for enough of them; the record says what was done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sfx.toolchain.arith import INPUT_SHIFT, IntArray, scale_exponent
from sfx.toolchain.ir.graph import FloatArray
from sfx.toolchain.quantize.build import Build, Inputs, drive, real_drive
from sfx.toolchain.quantize.compensate import Rounder, filtered
from sfx.toolchain.quantize.lanes import Lanes, draw, lane_count, weighted
from sfx.toolchain.quantize.lif import (
    Bound,
    QuantizedLIF,
    RealLIF,
    best,
    integers,
    quantize_lif,
    simulate,
)
from sfx.toolchain.quantize.mantissa import (
    assemble,
    grid_of,
    headroom,
    is_mixed,
    largest_gain,
    mantissas,
)
from sfx.toolchain.quantize.values import array

Judge = Callable[[QuantizedLIF], int]
"""Wrong spikes."""

WORK = 2e8
"""Steps of one neuron that effort 1 grants the search of a population (about a second)."""
FLOPS = 1e9
"""Multiplications that effort 1 grants the compensation of a population."""
ROWS_PER_WEIGHT = 4
"""Observations per weight below which a fit would learn the sample by heart."""
SWEEPS = 3
ROOMS = range(6)
OCTAVE = tuple(2.0 ** (-k / 4) for k in range(4))
"""Gains tried where channels choose their own power of two: quarter steps of one octave."""
SHARES = (1.0, 0.84, 0.68)
"""Shares of the largest weight that are tried with compensation where they do not."""


@dataclass(frozen=True, eq=False)
class Draft:
    """Whole numbers of every wire and the headroom of their channels at one gain."""

    gain: float
    scaled: tuple[FloatArray, ...]
    rooms: tuple[IntArray, ...]
    bias: FloatArray
    clipped: int


@dataclass(frozen=True, eq=False)
class Problem:
    """One population on the calibration data: what it must do, and how a draft is judged."""

    build: Build
    inputs: Inputs
    real: RealLIF
    bound: Bound
    bits: int
    groups: int
    effort: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the population."""
        return self.inputs.node.shape

    def target(self) -> IntArray:
        """Spikes [K, T, n] of the float layer on what its sources really send."""
        current = self.real.bias + sum(
            real_drive(self.build, self.inputs, i, w) for i, w in enumerate(self.real.weights)
        )
        spikes = np.zeros(current.shape, np.uint8)
        v = np.zeros_like(current[:, 0])
        for t in range(current.shape[1]):
            v = v * (1 - self.real.decay) + current[:, t]
            spikes[:, t] = v > self.real.threshold
            v[spikes[:, t] > 0] = 0
        return spikes  # type: ignore[return-value]  # as small as it can be: uint8

    def input_of(self, q: QuantizedLIF) -> IntArray:
        """a_in [K, T, n] on what the sources really send."""
        total = self.build.zeros(self.inputs.node)
        for j in self.inputs.made(q.mantissas, q.exponents):
            total = total + drive(self.build, j)
        return total

    def nearest(self, gain: float, where: str) -> QuantizedLIF:
        """Every weight rounded to the nearest at one gain."""
        steps = self.build.graph.timesteps
        return quantize_lif(self.real, gain, self.bound, steps, self.shape, where, self.bits)

    def integers_of(self, draft: Draft) -> QuantizedLIF | None:
        """The draft's neuron, or None where no exponent is legal."""
        m = assemble(
            self.real.weights, draft.scaled, draft.rooms, draft.gain, self.bits, draft.clipped
        )
        real = replace(self.real, bias=draft.bias)
        q = integers(real, m, self.bound, self.build.graph.timesteps, self.shape)
        return None if q is None else replace(q, exact=False)

    def lanes(self, wire: int, work: float, limit: float) -> Lanes | None:
        """Lanes for `limit` units of work at `work` units each; None if too few to learn from."""
        w, weight = self.inputs.wires[wire], self.real.weights[wire]
        assert self.build.lead is not None
        samples, timesteps = self.build.lead
        count = min(lane_count(w, samples), int(limit * self.effort / work))
        features = weight[0].size
        if count * timesteps < ROWS_PER_WEIGHT * features:
            return None
        return draw(w, array(self.build.sent[w.source]), count)


def fit(problem: Problem) -> tuple[QuantizedLIF, str]:
    """The population's integers, and what chose them."""
    node, options = problem.inputs.node, problem.build.options
    where = node.module or node.name
    weights_only = problem.build.lead is None or options.method == "naive"
    if options.method == "naive" and any(weighted(w) for w in problem.inputs.wires):
        widest = largest_gain(problem.real.weights, problem.bits)
        return problem.nearest(widest, where), "largest weight"
    target = None if weights_only else problem.target()

    def wrong(q: QuantizedLIF) -> int:
        return int(np.count_nonzero(simulate(q.neuron, problem.input_of(q)) != target))

    start = best(
        problem.real,
        problem.bound,
        problem.build.graph.timesteps,
        problem.shape,
        where,
        None if weights_only else wrong,
        problem.bits,
    )
    if target is None or start.exact or not options.effort:
        return start, "scale"
    return _searched(problem, start, target, wrong)


def _searched(
    problem: Problem, start: QuantizedLIF, target: IntArray, wrong: Judge
) -> tuple[QuantizedLIF, str]:
    chosen, fewest, steps = start, wrong(start), ["scale"]
    draft = _as_draft(problem, start)
    for made in _compensated(problem):
        q = problem.integers_of(made)
        if q is not None and (count := wrong(q)) < fewest:
            chosen, fewest, draft, steps = q, count, made, ["scale", "compensated"]
    better, changes = _flipped(problem, draft, target)
    q = problem.integers_of(better) if changes else None
    if q is not None and wrong(q) < fewest:
        return q, ", ".join([*steps, f"{changes} flips"])
    return chosen, ", ".join(steps)


def _as_draft(problem: Problem, q: QuantizedLIF) -> Draft:
    """Nearest rounding has one part for each wire."""
    m = q.mantissas
    scaled = tuple(w.astype(np.float64) for w in m.weights)
    rooms = tuple(np.array(r) for r in m.headroom)
    return Draft(m.gain, scaled, rooms, problem.real.bias, m.clipped)


def _compensated(problem: Problem) -> list[Draft]:
    """Drafts with compensated rounding at some gains; none where the data do not suffice."""
    real, bits = problem.real, problem.bits
    own = problem.groups > 1
    shares = OCTAVE if own else tuple(1 / s for s in SHARES)
    rooms = ROOMS if own else range(1)
    rounders: dict[int, list[Rounder]] = {}
    for i, wire in enumerate(problem.inputs.wires):
        if not weighted(wire):
            continue
        out, features = len(real.weights[i]), real.weights[i][0].size
        solve = out * features**2 * len(shares) * len(rooms) + features**3
        lanes = problem.lanes(i, 1.0 + features**2, FLOPS)
        if solve > FLOPS * problem.effort or lanes is None:
            continue
        groups = len(lanes.x)
        parts = real.weights[i].reshape(groups, out // groups, features)
        rounders[i] = [
            Rounder.of(w, filtered(x, 1 - real.decay).reshape(features, -1).T)
            for w, x in zip(parts, lanes.x, strict=True)
        ]
    if not rounders:
        return []
    largest = largest_gain(real.weights, bits)
    return [_draft_at(problem, rounders, largest * share, rooms) for share in shares]


def _draft_at(
    problem: Problem, rounders: dict[int, list[Rounder]], gain: float, rooms: range
) -> Draft:
    real, bits = problem.real, problem.bits
    nearest = mantissas(real.weights, gain, bits)
    shared = headroom(real.weights, gain)
    scaled: list[FloatArray] = []
    chosen: list[IntArray] = []
    clipped = 0
    for i, w in enumerate(real.weights):
        if i not in rounders:
            part = nearest.wires.index(i)
            scaled.append(nearest.weights[part].astype(np.float64))
            chosen.append(np.array(shared[i]))
            continue
        grid = grid_of(w, bits)
        own = gain * 2.0 ** shared[i]
        made = [r.with_rooms(own, rooms, problem.groups, grid) for r in rounders[i]]
        scaled.append(np.concatenate([r.q for r, _ in made]).reshape(w.shape))
        room = np.concatenate([room for _, room in made]) + shared[i]
        chosen.append(room if len(rooms) > 1 else np.array(shared[i]))
        clipped += sum(int(r.clipped.sum()) for r, _ in made)
    return Draft(gain, tuple(scaled), tuple(chosen), real.bias, clipped)


def _flipped(problem: Problem, draft: Draft, target: IntArray) -> tuple[Draft, int]:
    """The draft after the rounding search of each weighted wire, and the changes made."""
    changes = 0
    for i, wire in enumerate(problem.inputs.wires):
        if not weighted(wire):
            continue
        assert problem.build.lead is not None
        w = draft.scaled[i]
        sent = array(problem.build.sent[wire.source])
        busy = max(float((sent != 0).any(axis=1).mean()), 0.02)
        lanes = problem.lanes(i, 2 * SWEEPS * w.size * problem.build.lead[1] * busy, WORK)
        current_q = problem.integers_of(draft)
        if lanes is None or current_q is None:
            continue
        unit = current_q.scale / (1 << INPUT_SHIFT)
        bias = scale_exponent(current_q.neuron.bias_mant, current_q.neuron.bias_exp)
        current = problem.input_of(current_q) / unit + bias.ravel() / current_q.scale
        draft, made = _flip_wire(problem, draft, i, lanes, current, target)
        changes += made
    return draft, changes


def _flip_wire(
    problem: Problem, draft: Draft, i: int, lanes: Lanes, current: FloatArray, target: IntArray
) -> tuple[Draft, int]:
    from sfx.toolchain.quantize.flips import flip  # numba compiles on import of its cache

    real, w = problem.real, draft.scaled[i]
    grid, groups = grid_of(w, problem.bits), len(lanes.x)
    limits = (
        grid.step - 256 if is_mixed(real.weights[i]) or real.weights[i].max() <= 0 else 0,
        grid.high if real.weights[i].max() > 0 else 0,
        grid.step,
    )
    unit = np.broadcast_to(1 / (draft.gain * 2.0 ** draft.rooms[i]), (len(w),)).astype(np.float64)
    rows = w.reshape(groups, -1, w[0].size).astype(np.int64)
    now, goal = lanes.of(current), lanes.of(target)
    out = rows.shape[1]
    found = np.empty_like(rows)
    shift = np.empty(len(w))
    changes = 0
    for k in range(groups):
        mine = slice(k * out, (k + 1) * out)
        found[k], shift[mine], count = flip(
            lanes.x[k],
            goal[mine],
            now[mine],
            rows[k],
            unit[mine],
            limits,
            1 - real.decay,
            real.threshold,
            SWEEPS,
        )
        changes += count
    scaled = list(draft.scaled)
    scaled[i] = found.reshape(w.shape).astype(np.float64)
    return replace(draft, scaled=tuple(scaled), bias=draft.bias + shift[lanes.channel]), changes
