"""Product: Lava's ProdNeuron."""

from __future__ import annotations

from typing import Any

from ....toolchain.ir.program import Population, Product
from ..rules import Process


def make(population: Population, timesteps: int) -> Any:
    """As it is."""
    from lava.proc.prodneuron.process import ProdNeuron

    n = population.neuron
    assert isinstance(n, Product)
    return ProdNeuron(shape=(population.size,), vth=n.vth, exp=n.exp)


RULE = Process(make)
