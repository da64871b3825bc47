"""Clock: marks the end of every sample, or of every group of its steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ....toolchain.ir.program import Clock, Population
from ..body import Scope
from ..forms import Host, Sent


def sends(at: Scope, p: Population, events: str, timesteps: int, now: Callable[[int], str]) -> Sent:
    """1 where (h - phase) mod T = T - 1; of groups, g stands for T."""
    assert isinstance(p.neuron, Clock)
    period = p.neuron.period(timesteps)
    ends = [now((p.phase - 1 - back) % timesteps) for back in range(0, timesteps, period)]
    tick = ends[0]
    for other in ends[1:]:
        tick = at.op("Or", tick, other)
    return Sent(at.op("Expand", tick, at.array(np.array(p.shape, dtype=np.int64))))


RULE = Host(sends)
