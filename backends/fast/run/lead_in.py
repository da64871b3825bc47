"""Runs the lead-in: what the pipeline does before model step 0, once for all samples."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ground.errors import BackendError
from ....toolchain.ir.program import Population, Program
from ..layout import C_ORDER, arranged
from ..plan.lead_in import Lags, keeps_state, lags_that_matter, steps_needed, with_longer_loops
from ..plan.prepared import Prepared
from ..plan.spans import Span
from .arena import Arena
from .execute import execute
from .sent import Sent
from .state import InitialConditions, State

_SILENCE = np.zeros((1, 0), dtype=np.int64)
"""A sample of no step: the input's phase is 0."""


def initial_conditions(program: Program, ready: Prepared) -> InitialConditions:
    """Of a sample that runs alone through the balanced Program."""
    lags = lags_that_matter(program, ready)
    last = steps_needed(program, ready, lags)
    if not any(last.values()):
        return InitialConditions()
    longer = with_longer_loops(program, ready)
    try:
        return _run(longer, ready if longer is program else Prepared(longer), lags, last)
    except BackendError:  # declared ranges need to hold from model step 0 on only
        return _run(program, Prepared(program, wide=True), lags, last)


def _run(
    program: Program, ready: Prepared, lags: Lags, last: Mapping[str, int]
) -> InitialConditions:
    sent: dict[str, IntArray] = {}
    state: dict[str, State] = {}

    def keep(p: Population, s: Sent, now: State | None) -> None:
        lag = lags[p.name]
        if lag and s.flat[0, -lag:].any():
            sent[p.name] = s.flat[0, -lag:].astype(np.int64)
        if keeps_state(p) and now is not None and (now.u.any() or now.v.any()):
            held = ready.layout[p.name]
            uv = (arranged(a, held, C_ORDER).astype(np.int64) for a in (now.u, now.v))
            state[p.name] = State(*uv)

    initial = InitialConditions()
    execute(ready, _SILENCE, Span(last=last), initial, keep, None, Arena())
    return InitialConditions(sent, state)
