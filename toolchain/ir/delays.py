"""Delays of a model's own: a population that passes spikes on d steps later.

What a sample sent in its last d steps must not reach the next one. So the population, a LIF without
memory that one spike makes fire, receives a clock's tick with lags 1, ..., d and weight -1: at
steps 0, ..., d-1 of every sample, when only the sample before can arrive, one tick holds it down
(semantics 6.5). `shielded` proves that of any Program.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import sparse

from ..ground.arith import INPUT_SHIFT, IntArray
from ..ground.arithmetic import Arithmetic
from .bounds import port_bounds
from .connections import matrix
from .last_step import per_tick, sample_ticks
from .neurons.clock import CLOCK
from .program import LIF, Dense, Population, Program, Projection, Sparse, Structured


def passing_on(widths: Arithmetic) -> LIF:
    """Fires where a spike arrives and keeps nothing."""
    return LIF(widths.full_decay, widths.full_decay, 0, reset=False)


def late(j: Projection, pre: int, post: int, delays: IntArray, timesteps: int) -> list[Projection]:
    """`j` with what each neuron of post receives coming delays [post] steps later.

    One projection where all have one delay, else one for each. Nothing arrives T steps later.
    """
    found = [int(d) for d in np.unique(delays) if d < timesteps]
    if len(found) == 1 and np.all(delays == found[0]):
        return [replace(j, lag=found[0])]
    whole = sparse.csr_matrix(matrix(j, pre, post))
    made: list[Projection] = []
    for d in found:
        rows = sparse.csr_matrix(whole.multiply((delays == d)[:, None]))
        rows.eliminate_zeros()
        rows.sort_indices()
        parts = (np.asarray(a, np.int64) for a in (rows.indptr, rows.indices, rows.data))
        made.append(
            replace(
                j,
                name=f"{j.name}@{d}",
                connection=Sparse(*parts),
                lag=d,
                pre_view=None,
                post_view=None,
            )
        )
    return made


def shields(post: Population, delays: IntArray, timesteps: int) -> list[Projection]:
    """The ticks that hold down what would arrive from the sample before. delays [post size]."""
    waits = np.where(delays < timesteps, delays, 0)
    made: list[Projection] = []
    for lag in range(1, int(waits.max(initial=0)) + 1):
        held = waits >= lag
        every: Structured | Dense = Structured.to_all(post.shape, -1)
        if not held.all():
            every = Dense(-held.astype(np.int64)[:, None])
        name = f"{CLOCK}->{post.name}@{lag}"
        made.append(Projection(name, CLOCK, post.name, every, lag=lag))
    return made


def shielded(program: Program) -> set[str]:
    """Names of projections with a lag whose post provably ignores what the sample before sent.

    Post is a LIF without memory, and at each step t < lag of a sample the ticks that arrive take at
    least as much from every neuron that the projection reaches as can drive it.
    """
    ticks = sample_ticks(program)
    found: set[str] = set()
    for p in program:
        lagged = [j for j in program.incoming[p.name] if j.lag > 0 and j.pre not in ticks]
        if lagged and isinstance(p.neuron, LIF) and not p.neuron.reset:
            found |= set(_ignored(program, p, p.neuron, lagged, ticks))
    return found


def _ignored(
    program: Program, p: Population, n: LIF, lagged: list[Projection], ticks: set[str]
) -> Iterator[str]:
    steady = np.broadcast_to(port_bounds(program, p, without=ticks)["a_in"].high, (p.size,))
    bias = np.broadcast_to(n.bias, p.shape).ravel()
    zero = np.zeros(p.size, np.int64)
    taken: dict[int, IntArray] = {}
    for j in program.incoming[p.name]:
        if j.pre in ticks:
            at = (j.lag - 1) % program.timesteps  # the step of a sample at which the tick arrives
            taken[at] = taken.get(at, zero) + per_tick(program, j)
    for j in lagged:
        reached = np.diff(sparse.csr_matrix(matrix(j, program[j.pre].size, p.size)).indptr) > 0
        quiet = all(
            np.all(((steady + taken.get(t, zero)) << INPUT_SHIFT)[reached] + bias[reached]
                   <= n.vth << INPUT_SHIFT)
            for t in range(min(j.lag, program.timesteps))
        )  # fmt: skip
        if quiet and j.lag < program.timesteps:
            yield j.name
