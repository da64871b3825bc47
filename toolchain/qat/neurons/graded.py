"""Graded: passes its summed input on as a payload."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...ir.program import Graded, Population
from ..rules import Cell, Context, State


def sends(
    q: Population, ports: Mapping[str, Tensor], context: Context, state: State | None
) -> tuple[Tensor, State | None]:
    """Where |a| > vth."""
    n, a = q.neuron, ports["a_in"]
    assert isinstance(n, Graded)
    return (a * (a.abs() > n.vth) if n.vth else a), None


RULE = Cell(sends)
