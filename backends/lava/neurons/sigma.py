"""Sigma: Lava's Sigma, which starts with the run."""

from __future__ import annotations

from typing import Any

from ....toolchain.ir.program import Population
from ..rules import Process


def make(population: Population, timesteps: int) -> Any:
    """As it is."""
    from lava.proc.sdn.process import Sigma

    return Sigma(shape=(population.size,))


RULE = Process(make)
