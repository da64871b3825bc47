"""SigmaDelta: a neuron that adds up changes and sends the changes of its activation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ir.program import SigmaDelta
from ..layout import Values
from .delta import changes
from .sigma import of_whole_samples, sums


def send(n: SigmaDelta, a_in: IntArray, bias: Values | None) -> tuple[IntArray, NDArray[np.bool_]]:
    """What is sent of a_in [B, S, n], and who is busy; bias [n] in the order of the neurons."""
    assert bias is not None
    bias = bias.astype(np.int64)
    sigma, held = sums(a_in)
    x = wrap32(sigma + (bias << (n.spike_exp + n.state_exp)))
    s, sent = changes(n, np.maximum(x, 0) if n.relu else x)
    return s, held | sent | (bias != 0)


RULE = of_whole_samples(send)
