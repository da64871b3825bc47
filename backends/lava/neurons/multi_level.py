"""MultiLevel: a process of ours, because Intel's library has none that counts levels.

What else could witness it: the same neurons in binary slots (`--integer-spikes slots`), which are
Intel's LIF, one for each level. The two are compared in Lava (tests/e2e/test_integer_neurons.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....toolchain.ir.program import MultiLevel, Population
from ..rules import Process


def make(population: Population, timesteps: int) -> Any:
    """With a bias for every neuron."""
    from ..processes.multi_level import MultiLevel as Process_

    n = population.neuron
    assert isinstance(n, MultiLevel)
    bias = np.broadcast_to(n.bias, population.shape).reshape(-1)
    return Process_(shape=(population.size,), up=n.up, down=n.down, bias=bias)


RULE = Process(make)
