"""LI: leaky integrate without fire, a membrane that is read out."""

from __future__ import annotations

from ....toolchain.ground.arith import INPUT_SHIFT, IntArray, scale_exponent, wrap32
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import LI
from ..types import Cell
from .lif import State, reset


def step(n: LI, state: State, a_in: IntArray, widths: Arithmetic) -> tuple[State, IntArray]:
    """One step of integer semantics 2.6: u and v of a LIF, and v is sent. a_in [B, *shape]."""
    bias = scale_exponent(n.bias_mant, n.bias_exp)
    arrived = wrap32(a_in << INPUT_SHIFT)
    u = widths.wrap_current(widths.decayed(state.u, widths.decay_unity - (n.du + 1)) + arrived)
    v = widths.saturate_membrane(widths.decayed(state.v, widths.decay_unity - n.dv) + u + bias)
    return State(u, v), v


RULE = Cell(
    lambda n, state, ports, widths: step(n, state, ports["a_in"], widths),
    reset,
    lambda n, state: (state.u != 0) | (state.v != 0) | (n.bias != 0),
)
