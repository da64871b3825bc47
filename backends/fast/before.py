"""What the pipeline does before model step 0: no sample reaches it, so it is computed once.

Every population computes from hardware step 0 on, thus from model step -phase on. A bias may drive
neurons there; what is left over is the state of neurons without a reset, and what a recurrent
projection brings into model step 0.
"""

from __future__ import annotations

import numpy as np

from sfx.backends.fast.execute import Past, Prepared, Span, execute
from sfx.backends.fast.neurons import State
from sfx.backends.fast.sent import Sent, in_order
from sfx.toolchain.arith import IntArray
from sfx.toolchain.errors import BackendError
from sfx.toolchain.ir.program import LIF, Population, Program


def before_first_step(program: Program, ready: Prepared) -> Past:
    """The `Past` of a sample that runs alone through the balanced Program."""
    lags = _remembered(program, ready)
    only = _with_all_before(program, {n for n, lag in lags.items() if lag} | _lasting(program))
    if program.last_phase == 0 or not only:
        return Past()
    try:
        return _run(program, ready, lags, only)
    except BackendError:  # declared ranges need to hold from model step 0 on only
        return _run(program, Prepared(program, wide=True), lags, only)


def _remembered(program: Program, ready: Prepared) -> dict[str, int]:
    """Steps before the first that matter of what each population sends."""
    lags = {p.name: max((0, *(j.lag for j in program.outgoing[p.name]))) for p in program}
    for c in ready.contracted.values():
        if c.both:  # a coincidence neuron keeps its input for a step
            lags |= {n: max(lags[n], 1) for n in (c.a.name, c.b.name)}
    return lags


def _lasting(program: Program) -> set[str]:
    """Populations whose state no reset clears."""
    return {p.name for p in program if isinstance(p.neuron, LIF) and not p.neuron.reset}


def _with_all_before(program: Program, names: set[str]) -> frozenset[str]:
    found, new = set(names), list(names)
    while new:
        pre = {j.pre for j in program.incoming[new.pop()]} - found
        found |= pre
        new += pre
    return frozenset(found)


def _run(program: Program, ready: Prepared, lags: dict[str, int], only: frozenset[str]) -> Past:
    steps = program.last_phase
    sent: dict[str, IntArray] = {}
    state: dict[str, State] = {}

    def keep(p: Population, s: Sent, now: State | None) -> None:
        lag = lags[p.name]
        if lag and s.flat[0, -lag:].any():
            sent[p.name] = s.flat[0, -lag:].astype(np.int64)
        lasting = isinstance(p.neuron, LIF) and not p.neuron.reset
        if lasting and now is not None and (now.u.any() or now.v.any()):
            order = ready.channels[p.name]
            state[p.name] = State(*(in_order(a, order, 0).astype(np.int64) for a in (now.u, now.v)))

    begin = {p.name: steps - p.phase for p in program}
    span = Span(steps, origin=steps, begin=begin, only=only)
    silence = np.zeros((1, steps, *program.input.shape), dtype=np.int64)
    execute(ready, silence, span, Past(), keep, ready.tallies(steps))
    return Past(sent, state)
