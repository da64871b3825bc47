"""Clock: marks the end of every sample, or of every group of its steps."""

from __future__ import annotations

from torch import Tensor

from ...ir.program import Clock, Population
from ..rules import Host


def sends(population: Population, x: Tensor) -> Tensor:
    """1 at the last step; in groups, at the last of each."""
    assert isinstance(population.neuron, Clock)
    every = population.neuron.period(len(x))
    tick = x.new_zeros(*x.shape[:2], 1)
    tick[every - 1 :: every] = 1
    return tick


RULE = Host(sends)
