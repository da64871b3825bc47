"""LI: leaky integrate without fire, a membrane that is read out."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import LI, Population
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
    """v is sent."""
    n = p.neuron
    assert isinstance(n, LI)
    u, v = leaky(at, n, ports["a_in"], state, widths)
    return Sent(v, (u, v))


RULE = Cell(compute)
