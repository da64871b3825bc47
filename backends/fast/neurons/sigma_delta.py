"""SigmaDelta: a neuron that adds up changes and sends the changes of its activation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ir.program import SigmaDelta
from .delta import changes
from .sigma import of_whole_samples, sums


def send(n: SigmaDelta, a_in: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """What is sent of a_in [B, S, n], and who is busy; the program's bias is [n], in the order of
    the neurons.
    """
    sigma, held = sums(a_in)
    x = wrap32(sigma + (n.bias << (n.spike_exp + n.state_exp)))
    s, sent = changes(n, np.maximum(x, 0) if n.relu else x)
    return s, held | sent | (n.bias != 0)


RULE = of_whole_samples(send)
