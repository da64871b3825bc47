"""LI: a process of ours around Intel's own u and v, because a LIF of Intel's sends no membrane.

Its witness is Intel's LIFReset with a threshold that nothing reaches: the two have the same u and v
(tests/conformance/test_li.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....toolchain.ir.program import LI, Population
from ..rules import Process


def make(population: Population, timesteps: int) -> Any:
    """As of a LIF: hardware step k*T + phase is Lava's step k*T + phase + 1."""
    from ..processes.li import LI as Process_

    n = population.neuron
    assert isinstance(n, LI)
    return Process_(
        shape=(population.size,),
        du=n.du,
        dv=n.dv,
        bias_mant=np.broadcast_to(n.bias_mant, population.shape).reshape(-1).astype(np.int32),
        bias_exp=n.bias_exp,
        reset_interval=timesteps,
        reset_offset=(population.phase + 1) % timesteps or timesteps,
    )


RULE = Process(make)
