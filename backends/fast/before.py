"""What the pipeline does before model step 0: no sample reaches it, so it is computed once.

Every population computes from hardware step 0 on, thus from model step -phase on. A bias may drive
neurons there; what is left over is the state of neurons without a reset, and what a recurrent
projection brings into model step 0.
"""

from __future__ import annotations

import numpy as np

from sfx.backends.fast.execute import Past, Prepared, Span, execute
from sfx.backends.fast.neurons import State, Tally
from sfx.backends.fast.projections import Values
from sfx.toolchain.arith import IntArray
from sfx.toolchain.ir.program import LIF, Population, Program


def before_first_step(program: Program) -> Past:
    """The `Past` of a sample that runs alone through the balanced Program."""
    steps = program.last_phase
    if steps == 0:
        return Past()
    lags = {p.name: max((0, *(j.lag for j in program.outgoing[p.name]))) for p in program}
    sent: dict[str, IntArray] = {}
    state: dict[str, State] = {}

    def keep(p: Population, s: Values, now: State | None) -> None:
        lag = lags[p.name]
        if lag and s[0, -lag:].any():
            sent[p.name] = s[0, -lag:].astype(np.int64)
        keeps = isinstance(p.neuron, LIF) and not p.neuron.reset
        if keeps and now is not None and (now.u.any() or now.v.any()):
            state[p.name] = State(now.u.copy(), now.v.copy())

    # Wide sums: declared ranges hold from model step 0 on.
    ready = Prepared(program, wide=True)
    tallies = {p.name: Tally.zero(steps, p.size) for p in program}
    span = Span(steps, origin=steps, begin={p.name: steps - p.phase for p in program})
    silence = np.zeros((1, steps, *program.input.shape), dtype=np.int64)
    execute(ready, silence, span, Past(), keep, tallies)
    return Past(sent, state)
