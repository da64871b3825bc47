"""The rounding search on the lanes of a wire, and the headroom that suits each channel after it.

At few bits a channel's grid matters more than its rounding, and which power of two suits it is
known only after the search: channels are searched briefly at every headroom near the one with the
smallest rounding error, and keep the one that leaves least wrong.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ....ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from ....ir.graph import FloatArray
from ....ir.single import strict
from ..state.values import array
from .drafts import HEADROOMS, Rounders
from .lanes import Lanes, weighted
from .mantissa import grid_of, is_mixed
from .problem import Draft, Problem

WORK = 2e8
"""Steps of one neuron that effort 1 grants the search of a population (about a second)."""
SWEEPS = 3
NEAR = (0, -1, 1)
"""Headroom tried, beside the one with the smallest rounding error."""
STRETCHES = (1.0, 0.85, 1.18)
"""Factors of a channel that are tried. Its threshold is the layer's, so a bias stands for it: in a
steady state bias b lowers the threshold by b / decay."""
BRIEF = 0.2
"""Share of the work that a draft gets for them, in one sweep for each."""

Target = NDArray[np.int8]
"""[K, T, n]: a spike where > 0; the magnitude is what a wrong step counts (`Problem.target`)."""


def rounding_search(problem: Problem, draft: Draft, target: Target) -> tuple[Draft, int]:
    """The draft after the rounding search of each weighted wire, and the changes made."""
    changes = 0
    for i in _weighted(problem):
        wire = _Wire.of(problem, draft, i, target, 1.0)
        if wire is None:
            continue
        made = wire.flip(wire.rows, wire.unit, SWEEPS)
        draft = wire.drafted(made.q, draft.headrooms[i], made.shift)
        changes += made.changes
    return draft, changes


def choose_headrooms(problem: Problem, draft: Draft, rounders: Rounders, target: Target) -> Draft:
    """The draft with the headroom of each channel that is best after a brief search."""
    for i in _weighted(problem):
        if i not in rounders or not draft.headrooms[i].ndim:
            continue
        wire = _Wire.of(problem, draft, i, target, BRIEF)
        if wire is None:
            continue
        near = [np.clip(draft.headrooms[i] + n, 0, HEADROOMS[-1]) for n in NEAR]
        tried = [wire.brief(rounders, headroom, by) for headroom in near for by in STRETCHES]
        draft = wire.best(tried, problem.groups)
    return draft


def _weighted(problem: Problem) -> Iterable[int]:
    return (i for i, wire in enumerate(problem.inputs.wires) if weighted(wire))


@dataclass(frozen=True, eq=False)
class _Found:
    """Mantissas q [O, F] at headroom room [O], what to add to the biases, what is still wrong."""

    q: FloatArray
    headroom: IntArray
    shift: FloatArray
    wrong: IntArray
    changes: int


@dataclass(frozen=True, eq=False)
class _Wire:
    """A wire of a draft at its lanes: goal and whole current [O, L, T]."""

    problem: Problem
    draft: Draft
    index: int
    lanes: Lanes
    goal: Target
    now: FloatArray

    @staticmethod
    def of(
        problem: Problem, draft: Draft, index: int, target: Target, share: float
    ) -> _Wire | None:
        """With lanes for `share` of the work; None where they are too few to learn from."""
        w, source = draft.scaled[index], problem.inputs.wires[index].source
        assert problem.state.lead is not None
        sent = array(problem.state.sent[source])
        busy = max(float((sent != 0).any(axis=1).mean()), 0.02)
        work = 2 * SWEEPS * w.size * problem.state.lead[1] * busy
        lanes = problem.lanes(index, work, WORK * share)
        q = problem.integers_of(draft)
        if lanes is None or q is None:
            return None
        unit = q.scale / (1 << INPUT_SHIFT)
        bias = scale_exponent(q.neuron.bias_mant, q.neuron.bias_exp)
        current = problem.input_of(q) / unit + bias.ravel() / q.scale
        return _Wire(problem, draft, index, lanes, lanes.of(target), lanes.of(current))

    @property
    def rows(self) -> FloatArray:
        """The draft's mantissas [O, F]."""
        w = self.draft.scaled[self.index]
        return w.reshape(len(w), -1)

    @property
    def unit(self) -> FloatArray:
        """Real weight of mantissa 1 in each channel [O]."""
        return self._unit(self.draft.headrooms[self.index])

    def _unit(self, headroom: IntArray) -> FloatArray:
        each = 1 / (self.draft.gain * 2.0**headroom)
        return np.broadcast_to(each, (len(self.rows),)).astype(np.float64)

    def brief(self, rounders: Rounders, headroom: IntArray, by: float) -> _Found:
        """One sweep from compensated rounding at other headroom, all multiplied by `by`."""
        real, w = self.problem.real, self.problem.real.weights[self.index]
        grid, unit = grid_of(w, self.problem.bits), self._unit(headroom)
        groups = rounders[self.index]
        parts = zip(groups, np.split(by / unit, len(groups)), strict=True)
        q = np.concatenate([r.round(per_one, grid).q for r, per_one in parts])
        bias = np.zeros(len(q))
        bias[self.lanes.channel] = self.draft.bias
        found = self.flip(q, unit, 1, (by - 1) * (bias - real.decay * real.threshold))
        return replace(found, headroom=headroom)

    def best(self, tried: list[_Found], most: int) -> Draft:
        """Each channel as it was found best, with at most `most` different headrooms in all."""
        wrong = np.full((len(HEADROOMS), len(self.rows)), np.inf)
        which = np.zeros(wrong.shape, np.int64)
        at = np.arange(len(self.rows))
        for k, found in enumerate(tried):
            less = found.wrong < wrong[found.headroom, at]
            wrong[found.headroom[less], at[less]] = found.wrong[less]
            which[found.headroom[less], at[less]] = k
        used = [int(r) for r in np.flatnonzero(np.isfinite(wrong).any(axis=1))]
        sets = combinations(used, min(most, len(used)))
        chosen = np.array(min(sets, key=lambda c: float(wrong[list(c)].min(axis=0).sum())))
        headroom = chosen[wrong[chosen].argmin(axis=0)]
        pick = which[headroom, at]
        q = np.stack([f.q for f in tried])[pick, at]
        return self.drafted(q, headroom, np.stack([f.shift for f in tried])[pick, at])

    def drafted(self, q: FloatArray, headroom: IntArray, shift: FloatArray) -> Draft:
        """The draft with this wire's mantissas, headroom and biases."""
        draft, i = self.draft, self.index
        scaled, headrooms = list(draft.scaled), list(draft.headrooms)
        scaled[i], headrooms[i] = q.reshape(scaled[i].shape), headroom
        bias = draft.bias + shift[self.lanes.channel]
        return replace(draft, scaled=tuple(scaled), headrooms=tuple(headrooms), bias=bias)

    def flip(
        self, q: FloatArray, unit: FloatArray, sweeps: int, shift: FloatArray | None = None
    ) -> _Found:
        """The search from mantissas q [O, F] of real weight `unit` [O], biases moved by `shift`."""
        from .flips import flip  # numba compiles on import of its cache

        real, w = self.problem.real, self.problem.real.weights[self.index]
        grid, groups = grid_of(w, self.problem.bits), len(self.lanes.x)
        limits = (
            -grid.high if is_mixed(w) or w.max() <= 0 else 0,
            grid.high if w.max() > 0 else 0,
            grid.step,
        )
        offset = np.zeros(len(q)) if shift is None else shift
        now = self.now + self._moved(q, unit) + offset[:, None, None]
        size, present = len(q) // groups, w.reshape(len(w), -1) != 0
        made = [
            flip(
                self.lanes.x[k],
                self.goal[mine],
                now[mine],
                q[mine].astype(np.int64),
                present[mine],
                unit[mine],
                limits,
                1 - real.decay,
                strict(real.threshold) if real.reached else real.threshold,
                sweeps,
            )
            for k, mine in enumerate(slice(k * size, (k + 1) * size) for k in range(groups))
        ]
        return _Found(
            np.concatenate([m.q for m in made]).astype(np.float64),
            self.draft.headrooms[self.index],
            offset + np.concatenate([m.shift for m in made]),
            np.concatenate([m.wrong for m in made]),
            sum(m.changes for m in made),
        )

    def _moved(self, q: FloatArray, unit: FloatArray) -> FloatArray:
        """What other mantissas and units add to the current [O, L, T]."""
        change = q * unit[:, None] - self.rows * self.unit[:, None]
        groups, features, *at = self.lanes.x.shape
        if not change.any():
            return np.zeros((1, 1, 1))
        x = self.lanes.x.reshape(groups, features, -1).astype(np.float64)
        moved: FloatArray = change.reshape(groups, -1, features) @ x
        return moved.reshape(len(q), *at)
