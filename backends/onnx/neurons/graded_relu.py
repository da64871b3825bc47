"""GradedReLU: passes its summed input on where it is positive."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import GradedReLU, Population
from ..arithmetic import where_above
from ..body import Scope
from ..forms import Cell, Sent


def compute(
    at: Scope,
    p: Population,
    ports: Mapping[str, str],
    state: tuple[str, ...],
    widths: Arithmetic,
) -> Sent:
    """s = a where a > vth, else 0."""
    assert isinstance(p.neuron, GradedReLU)
    return Sent(where_above(at, ports["a_in"], ports["a_in"], p.neuron.vth))


RULE = Cell(compute)
