"""Delta: an input that sends the changes of the sample's values."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ir.program import Delta, Population, SigmaDelta
from ..types import Host
from .input import events


def change(n: Delta | SigmaDelta, sent: IntArray, x: IntArray) -> tuple[IntArray, IntArray]:
    """Integer semantics 2.5: what was sent after this step, and what is sent now.

    d = i32(x - sent);  s' = d where |d| >= vth << e, else 0     not strict
    |-2^31| is -2^31, as of any int32.
    """
    d = wrap32(x - sent)
    fires = wrap32(np.abs(d)) >= n.vth << (n.spike_exp + n.state_exp)
    s = np.where(fires, d, 0)
    return wrap32(sent + s), s >> n.state_exp


def encoded(x: IntArray, population: Population) -> IntArray:
    """What is sent for events x [B, T, *shape], step by step from nothing on."""
    n = population.neuron
    assert isinstance(n, Delta)
    sent, out = np.zeros_like(x[:, 0]), np.empty_like(x)
    for t in range(x.shape[1]):
        sent, out[:, t] = change(n, sent, wrap32(x[:, t] << (n.spike_exp + n.state_exp)))
    return out


RULE = Host(lambda x, population, h, timesteps: events(x, h), encoded)
