"""Axonal delays of a `.net` file: the spikes of a layer some steps later.

SLAYER delays what a layer sends; netx delays what the layer receives by as much, which gives the
same spikes without a bias, and drops the delays of convolutions. Here SLAYER's are meant. netx's
delays carry spikes from sample to sample, these do not (`ir.delays`).
"""

from __future__ import annotations

import numpy as np

from ...ground.arith import IntArray
from ...ground.arithmetic import LOIHI
from ...ground.errors import InputError
from ...ir.delays import late, passing_on, shields
from ...ir.neurons.clock import CLOCK
from ...ir.program import Clock, Population, Projection, Structured


def add(
    populations: list[Population], projections: list[Projection], delays: IntArray, steps: int
) -> Population:
    """Append a population that sends what the last one does, later; returns it.

    delays  one for all, or per neuron or channel of the last population
    Raises InputError SFX-E165 for another number of them.
    """
    pre = populations[-1]
    if delays.size not in (1, pre.shape[0], pre.size):
        what = f"{delays.size} delays do not fit neurons of shape {pre.shape}"
        raise InputError("SFX-E165", what, where=pre.module or pre.name)
    full = delays.reshape(-1)
    if delays.size != pre.size:
        channels = delays.reshape(-1, *(1,) * (len(pre.shape) - 1))
        full = np.broadcast_to(channels, pre.shape).ravel()
    post = Population(f"{pre.name}.delayed", pre.shape, passing_on(LOIHI), module=pre.module)
    each = Structured.one_to_one(pre.shape)
    same = Projection(f"{pre.name}->{post.name}", pre.name, post.name, each)
    clock(populations)
    populations.append(post)
    projections += late(same, pre.size, post.size, full, steps)
    projections += shields(post, full, steps)
    return post


def clock(populations: list[Population]) -> None:
    """Have a clock among the populations, behind the input."""
    if not any(isinstance(p.neuron, Clock) for p in populations):
        populations.insert(1, Population(CLOCK, (1,), Clock()))
