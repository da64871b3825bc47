"""Delta: an input that sends the changes of the sample's values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ir.program import Delta, Population, SigmaDelta
from ..rules import Host


def changes(n: Delta | SigmaDelta, x: IntArray) -> tuple[IntArray, NDArray[np.bool_]]:
    """What is sent of activations x [B, S, n], all steps of a sample; where something was sent
    before.
    """
    threshold = n.vth << (n.spike_exp + n.state_exp)
    sent = np.zeros_like(x[:, 0])
    out, before = np.empty_like(x), np.empty(x.shape, np.bool_)
    for t in range(x.shape[1]):
        before[:, t] = sent != 0
        d = wrap32(x[:, t] - sent)
        fired = np.where(wrap32(np.abs(d)) >= threshold, d, 0)
        sent = wrap32(sent + fired)
        out[:, t] = fired >> n.state_exp
    return out, before


def encoded(p: Population, x: IntArray) -> IntArray:
    """What is sent for events x [B, S, n]."""
    n = p.neuron
    assert isinstance(n, Delta)
    return changes(n, wrap32(x.astype(np.int64) << (n.spike_exp + n.state_exp)))[0]


RULE = Host(encoded)
