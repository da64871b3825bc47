"""LI: leaky integrate without fire, a membrane that is read out."""

from __future__ import annotations

from ....toolchain.ground.arith import IntArray
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import LI
from ..types import Cell
from .lif import State, busy, integrated, reset


def step(n: LI, state: State, a_in: IntArray, widths: Arithmetic) -> tuple[State, IntArray]:
    """One step of integer semantics 2.6: u and v of a LIF, and v is sent. a_in [B, *shape]."""
    now = integrated(n, state, a_in, widths)
    return now, now.v


RULE = Cell(lambda n, state, ports, widths: step(n, state, ports["a_in"], widths), reset, busy)
