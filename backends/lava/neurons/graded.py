"""Graded: Lava's GradedVec."""

from __future__ import annotations

from typing import Any

from ....toolchain.ir.program import Graded, Population
from ..rules import Process


def make(population: Population, timesteps: int) -> Any:
    """As it is."""
    from lava.proc.graded.process import GradedVec

    n = population.neuron
    assert isinstance(n, Graded)
    return GradedVec(shape=(population.size,), vth=n.vth)


RULE = Process(make)
