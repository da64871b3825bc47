"""Clock: marks the end of every sample, or of every group of its steps."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Clock, Population
from ..types import Host


def tick(h: int, phase: int, period: int) -> int:
    """Clock at hardware step h: 1 where (h - phase) mod T = T-1, also before its phase.

    period  T, or the steps of a group
    """
    return int((h - phase) % period == period - 1)


def sends(x: IntArray, population: Population, h: int, timesteps: int) -> IntArray:
    """The tick, in every lane [B, *shape]."""
    assert isinstance(population.neuron, Clock)
    now = tick(h, population.phase, population.neuron.period(timesteps))
    return np.full((len(x), *population.shape), now, dtype=np.int64)


RULE = Host(sends)
