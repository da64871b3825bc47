"""Clock: marks the end of every sample."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Population
from ..types import Host


def tick(h: int, phase: int, timesteps: int) -> int:
    """Clock at hardware step h: 1 where (h - phase) mod T = T-1, also before its phase."""
    return int((h - phase) % timesteps == timesteps - 1)


def sends(x: IntArray, population: Population, h: int, timesteps: int) -> IntArray:
    """The tick, in every lane [B, *shape]."""
    now = tick(h, population.phase, timesteps)
    return np.full((len(x), *population.shape), now, dtype=np.int64)


RULE = Host(sends)
