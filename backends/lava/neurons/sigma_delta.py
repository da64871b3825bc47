"""SigmaDelta: Lava's SigmaDelta, which starts with the run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....toolchain.ir.program import Population, SigmaDelta
from ..rules import Process


def make(population: Population, timesteps: int) -> Any:
    """As it is: Lava shifts threshold and bias itself."""
    from lava.proc.sdn.process import ActivationMode
    from lava.proc.sdn.process import SigmaDelta as LavaSigmaDelta

    n = population.neuron
    assert isinstance(n, SigmaDelta)
    return LavaSigmaDelta(
        shape=(population.size,),
        vth=n.vth,
        bias=np.broadcast_to(n.bias, population.shape).reshape(-1).astype(np.int32),
        act_mode=ActivationMode.RELU if n.relu else ActivationMode.UNIT,
        spike_exp=n.spike_exp,
        state_exp=n.state_exp,
    )


RULE = Process(make)
