"""GradedReLU: Lava's GradedReluVec."""

from __future__ import annotations

from typing import Any

from ....toolchain.ir.program import GradedReLU, Population
from ..rules import Process


def make(population: Population, timesteps: int) -> Any:
    """As it is."""
    from lava.proc.graded.process import GradedReluVec

    n = population.neuron
    assert isinstance(n, GradedReLU)
    return GradedReluVec(shape=(population.size,), vth=n.vth)


RULE = Process(make)
