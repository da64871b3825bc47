"""MultiLevel: sends how many levels its input has passed, with the gradient of a ramp."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...ir.program import MultiLevel, Population
from .. import straight
from ..rules import Cell, Context, State


def sends(
    q: Population, ports: Mapping[str, Tensor], context: Context, state: State | None
) -> tuple[Tensor, State | None]:
    """Nothing is kept."""
    n = q.neuron
    assert isinstance(n, MultiLevel)
    return straight.staircase(ports["a_in"] + context.bias(), n), None


RULE = Cell(sends)
