"""LIF: Lava's LIF, or LIFReset that starts every sample at zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....toolchain.ir.program import LIF, Population
from ..rules import Process


def make(population: Population, timesteps: int) -> Any:
    """Lava counts steps from 1, so hardware step k*T + phase is its step k*T + phase + 1."""
    from lava.proc.lif.process import LIF as LavaLif
    from lava.proc.lif.process import LIFReset

    n = population.neuron
    assert isinstance(n, LIF)
    bias = np.broadcast_to(n.bias_mant, population.shape).reshape(-1).astype(np.int32)
    common = {
        "shape": (population.size,),
        "du": n.du,
        "dv": n.dv,
        "vth": n.vth,
        "bias_mant": bias,
        "bias_exp": n.bias_exp,
    }
    if not n.reset:
        return LavaLif(**common)
    offset = (population.phase + 1) % timesteps or timesteps
    return LIFReset(**common, reset_interval=timesteps, reset_offset=offset)


RULE = Process(make)
