"""Clock: marks the end of every sample, or of every group of its steps."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Clock, Population
from ..rules import Host


def sends(population: Population, events: IntArray, steps: int, timesteps: int) -> IntArray:
    """Ticks at every h with (h - phase) mod T = T - 1; of groups, g stands for T."""
    assert isinstance(population.neuron, Clock)
    period = population.neuron.period(timesteps)
    data = np.zeros((population.size, steps), dtype=np.int64)
    data[:, (np.arange(steps) - population.phase) % period == period - 1] = 1
    return data


RULE = Host(sends)
