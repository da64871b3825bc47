"""Sigma: sends the sum of everything it received."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray, wrap32
from ....toolchain.ir.program import Sigma
from ..types import Cell


@dataclass(frozen=True, eq=False)
class State:
    """sigma [B, *shape]."""

    sigma: IntArray


def reset(shape: tuple[int, ...]) -> State:
    """Nothing was received."""
    return State(np.zeros(shape, dtype=np.int64))


def step(n: Sigma, state: State, a_in: IntArray) -> tuple[State, IntArray]:
    """Integer semantics 2.5, Sigma: sigma = i32(sigma + a_in);  s = sigma."""
    sigma = wrap32(state.sigma + a_in)
    return State(sigma), sigma


def busy(n: Sigma, state: State) -> NDArray[np.bool_]:
    """Neurons that send without input."""
    changes: NDArray[np.bool_] = state.sigma != 0
    return changes


RULE = Cell(lambda n, state, ports, widths: step(n, state, ports["a_in"]), reset, busy)
