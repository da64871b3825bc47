"""Clock: marks the end of every sample."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ....toolchain.ir.program import Population
from ..body import Scope
from ..forms import Host, Sent


def sends(at: Scope, p: Population, events: str, timesteps: int, now: Callable[[int], str]) -> Sent:
    """1 where (h - phase) mod T = T - 1."""
    tick = now((p.phase - 1) % timesteps)
    return Sent(at.op("Expand", tick, at.array(np.array(p.shape, dtype=np.int64))))


RULE = Host(sends)
