"""LIF: leaky integrate and fire."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ground.arith import INPUT_SHIFT
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import LIF, Population
from ..arithmetic import leaky
from ..body import Scope
from ..forms import Cell, Sent


def compute(
    at: Scope,
    p: Population,
    ports: Mapping[str, str],
    state: tuple[str, ...],
    widths: Arithmetic,
) -> Sent:
    """s = v > vth << 6, strict; v = 0 where s."""
    n = p.neuron
    assert isinstance(n, LIF)
    u, v = leaky(at, n, ports["a_in"], state, widths)
    fires = at.op("Greater", v, at.number(n.vth << INPUT_SHIFT))
    return Sent(fires, (u, at.op("Where", fires, at.number(0), v)))


RULE = Cell(compute)
