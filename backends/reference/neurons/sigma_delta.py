"""SigmaDelta: a neuron that adds up changes and sends the changes of its activation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ir.program import SigmaDelta
from ..types import Cell
from .delta import change


@dataclass(frozen=True, eq=False)
class State:
    """sigma: all input added up; sent: all changes that were sent [B, *shape]."""

    sigma: IntArray
    sent: IntArray


def reset(shape: tuple[int, ...]) -> State:
    """Nothing was received, nothing sent."""
    return State(np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64))


def step(n: SigmaDelta, state: State, a_in: IntArray) -> tuple[State, IntArray]:
    """One step of integer semantics 2.5, SigmaDelta. a_in [B, *shape] -> new state, what is sent.

    sigma = i32(sigma + a_in);  x = i32(sigma + i32(bias << e));  x = max(x, 0) where relu
    then as Delta
    """
    sigma = wrap32(state.sigma + a_in)
    x = wrap32(sigma + (n.bias << (n.spike_exp + n.state_exp)))
    sent, s = change(n, state.sent, np.maximum(x, 0) if n.relu else x)
    return State(sigma, sent), s


def busy(n: SigmaDelta, state: State) -> NDArray[np.bool_]:
    """Neurons that compute without input: those with a state or a bias."""
    changes: NDArray[np.bool_] = (state.sigma != 0) | (state.sent != 0) | (n.bias != 0)
    return changes


RULE = Cell(lambda n, state, ports, widths: step(n, state, ports["a_in"]), reset, busy)
