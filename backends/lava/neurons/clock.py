"""Clock: marks the end of every sample."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Population
from ..rules import Host


def sends(population: Population, events: IntArray, steps: int, timesteps: int) -> IntArray:
    """Ticks at every h with (h - phase) mod T = T - 1."""
    data = np.zeros((population.size, steps), dtype=np.int64)
    data[:, (np.arange(steps) - population.phase) % timesteps == timesteps - 1] = 1
    return data


RULE = Host(sends)
