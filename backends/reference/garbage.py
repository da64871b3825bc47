"""Arbitrary values before a population's phase: what it emits there must not matter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ir.program import Clock, Graded, Input, Population, Program, Projection
from .pipeline import Replacement


def before_phase(program: Program, seed: int) -> Replacement:
    """Every population sends random values of its range at each step before its phase.

    Left alone are the host's populations and relays of its clock, which are never arbitrary, and
    model step -L of a population that a projection (or one from a relay of it) reads with lag L: it
    does matter. In an accumulator that one step is what the clock clears (semantics 6.2).
    """
    rng = np.random.default_rng(seed)
    exact = _from_host(program)
    before: dict[str, int] = {}
    for p in reversed(program.populations):  # readers first
        lags = (j.lag + _passed_on(program, j, before) for j in program.outgoing[p.name])
        before[p.name] = max((0, *lags))
    until = {p.name: p.phase - before[p.name] for p in program}

    def replace(p: Population, h: int) -> IntArray | None:
        if p.name in exact or h >= until[p.name]:
            return None
        return rng.integers(p.low, p.high, size=p.shape, dtype=np.int64, endpoint=True)

    return replace


def _passed_on(program: Program, j: Projection, before: Mapping[str, int]) -> int:
    """Steps before its phase at which post matters, where it is a relay: pre then matters, too."""
    relay = program[j.post].neuron == Graded() and len(program.incoming[j.post]) == 1
    return before.get(j.post, 0) if relay else 0


def _from_host(program: Program) -> frozenset[str]:
    """The input, clocks, and what only clocks drive."""
    clocked: set[str] = set()
    for p in program:  # producers first
        incoming = program.incoming[p.name]
        if isinstance(p.neuron, Clock) or (incoming and all(j.pre in clocked for j in incoming)):
            clocked.add(p.name)
    return frozenset(clocked) | {p.name for p in program if isinstance(p.neuron, Input)}
