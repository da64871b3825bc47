"""LIF: leaky integrate and fire."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import INPUT_SHIFT, IntArray, scale_exponent, wrap32
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.neurons.leaky import Leaky
from ....toolchain.ir.program import LIF
from ..types import Cell


@dataclass(frozen=True, eq=False)
class State:
    """Current u and membrane v [B, *shape]."""

    u: IntArray
    v: IntArray


def reset(shape: tuple[int, ...]) -> State:
    """u = v = 0: the state before step 0 and after LIFReset."""
    return State(np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64))


def bias(n: Leaky) -> IntArray:
    """Integer semantics 2.1: bias_mant << bias_exp, or >> -bias_exp (floor) if negative."""
    return scale_exponent(n.bias_mant, n.bias_exp)


def step(n: LIF, state: State, a_in: IntArray, widths: Arithmetic) -> tuple[State, IntArray]:
    """One step of integer semantics 2.1. a_in [B, *shape] -> new state, spikes 0/1.

    At Loihi's widths, else with those of the Program in the place of 12 and 24 bits:
    x = i32(a_in << 6)
    u = wrap(tz(u * (4096 - (du+1)), 12) + x)             one wrap only
    v = clip24(tz(v * (4096 - dv), 12) + u + bias)        saturates, with the new u
    s = v > (vth << 6);  v = 0 where s                    strict, to zero
    """
    now = integrated(n, state, a_in, widths)
    s = now.v > (n.vth << INPUT_SHIFT)
    return State(now.u, np.where(s, 0, now.v)), s.astype(np.int64)


def integrated(n: Leaky, state: State, a_in: IntArray, widths: Arithmetic) -> State:
    """u and v of a step before anything fires: the first three lines of `step`."""
    x = wrap32(a_in << INPUT_SHIFT)
    u = widths.wrap_current(widths.decayed(state.u, widths.decay_unity - (n.du + 1)) + x)
    kept = widths.decayed(state.v, widths.decay_unity - n.dv)
    return State(u, widths.saturate_membrane(kept + u + bias(n)))


def busy(n: Leaky, state: State) -> NDArray[np.bool_]:
    """Neurons that change without input: u or v is left, or there is a bias [B, *shape]."""
    changes: NDArray[np.bool_] = (state.u != 0) | (state.v != 0) | (bias(n) != 0)
    return changes


RULE = Cell(lambda n, state, ports, widths: step(n, state, ports["a_in"], widths), reset, busy)
