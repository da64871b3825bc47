"""GradedReLU: passes its summed input on where it is positive."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...ir.program import GradedReLU, Population
from ..rules import Cell, Context, State


def sends(
    q: Population, ports: Mapping[str, Tensor], context: Context, state: State | None
) -> tuple[Tensor, State | None]:
    """Where a > vth."""
    n, a = q.neuron, ports["a_in"]
    assert isinstance(n, GradedReLU)
    return a * (a > n.vth), None


RULE = Cell(sends)
