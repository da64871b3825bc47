"""Delta: the host's values through Lava's Delta, which starts with the run."""

from __future__ import annotations

from typing import Any

from ....toolchain.ir.program import Delta, Population
from ..rules import Host
from .input import sends


def encoder(population: Population) -> Any:
    """As it is: Lava shifts the threshold itself."""
    from lava.proc.sdn.process import Delta as LavaDelta

    n = population.neuron
    assert isinstance(n, Delta)
    return LavaDelta(
        shape=(population.size,), vth=n.vth, spike_exp=n.spike_exp, state_exp=n.state_exp
    )


RULE = Host(sends, encoder)
