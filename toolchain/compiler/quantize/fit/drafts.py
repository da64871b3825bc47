"""Drafts of a population's mantissas: compensated rounding at some gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ....ground.arith import IntArray
from ....ir.graph import FloatArray
from .compensate import Rounder, filtered
from .lanes import weighted
from .lif import QuantizedLIF
from .mantissa import grid_of, largest_gain, mantissas, shared_headroom
from .problem import Draft, Problem

FLOPS = 1e9
"""Multiplications that effort 1 grants the compensation of a population."""
HEADROOMS = range(6)
OCTAVE = tuple(2.0 ** (-k / 4) for k in range(4))
"""Gains tried where channels choose their own power of two: quarter steps of one octave."""
SHARES = (1.0, 0.84, 0.68)
"""Shares of the largest weight that are tried with compensation where they do not."""

Rounders = Mapping[int, Sequence[Rounder]]
"""By wire: one for each group of channels. Wires whose data do not suffice are missing."""


def as_draft(problem: Problem, q: QuantizedLIF) -> Draft:
    """Nearest rounding has one part for each wire."""
    m = q.mantissas
    scaled = tuple(w.astype(np.float64) for w in m.weights)
    headrooms = tuple(np.array(r) for r in m.headroom)
    return Draft(m.gain, scaled, headrooms, problem.real.bias, m.clipped)


def rounders_of(problem: Problem) -> Rounders:
    """The wires that can be rounded with compensation."""
    real = problem.real
    tries = len(OCTAVE) * len(HEADROOMS) if problem.groups > 1 else len(SHARES)
    found: dict[int, list[Rounder]] = {}
    for i, wire in enumerate(problem.inputs.wires):
        if not weighted(wire):
            continue
        out, features = len(real.weights[i]), real.weights[i][0].size
        solve = out * features**2 * tries + features**3
        lanes = problem.lanes(i, 1.0 + features**2, FLOPS)
        if solve > FLOPS * problem.effort or lanes is None:
            continue
        groups = len(lanes.x)
        parts = real.weights[i].reshape(groups, out // groups, features)
        found[i] = [
            Rounder.of(w, filtered(x, 1 - real.decay).reshape(features, -1).T)
            for w, x in zip(parts, lanes.x, strict=True)
        ]
    return found


def compensated(problem: Problem, rounders: Rounders) -> list[Draft]:
    """Drafts with compensated rounding at some gains; none without rounders."""
    if not rounders:
        return []
    own = problem.groups > 1
    largest = largest_gain(problem.real.weights, problem.bits)
    shares = OCTAVE if own else tuple(1 / s for s in SHARES)
    headrooms = HEADROOMS if own else range(1)
    return [_draft_at(problem, rounders, largest * share, headrooms) for share in shares]


def _draft_at(problem: Problem, rounders: Rounders, gain: float, headrooms: range) -> Draft:
    real, bits = problem.real, problem.bits
    nearest = mantissas(real.weights, gain, bits)
    shared = shared_headroom(real.weights, gain, bits)
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
        made = [r.with_headrooms(own, headrooms, problem.groups, grid) for r in rounders[i]]
        scaled.append(np.concatenate([r.q for r, _ in made]).reshape(w.shape))
        headroom = np.concatenate([headroom for _, headroom in made]) + shared[i]
        chosen.append(headroom if len(headrooms) > 1 else np.array(shared[i]))
        clipped += sum(int(r.clipped.sum()) for r, _ in made)
    return Draft(gain, tuple(scaled), tuple(chosen), real.bias, clipped)
