"""Input: the sample's events."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Population
from ..rules import Host


def sends(population: Population, events: IntArray, steps: int, timesteps: int) -> IntArray:
    """Model step k*T + t at hardware step k*T + t + phase, zeros before and after."""
    data = np.zeros((population.size, steps), dtype=np.int64)
    data[:, population.phase : population.phase + len(events)] = events.T
    return data


RULE = Host(sends)
