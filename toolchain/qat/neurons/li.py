"""LI: a membrane that leaks and never fires, with the gradient of the leak."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...ir.program import LI, Population
from .. import straight
from ..rules import Cell, Context, Moving, State


def sends(
    q: Population, ports: Mapping[str, Tensor], context: Context, state: State | None
) -> tuple[Tensor, State | None]:
    """Its membrane."""
    n, a_in = q.neuron, ports["a_in"]
    assert isinstance(n, LI)
    zero = a_in.new_zeros(a_in.shape[1], q.size)
    u, v = (zero, zero) if state is None else state
    m = context.moving or Moving(n)
    c = straight.Constants.of(m.neuron, context.widths)
    s, u, v = straight.leaky(a_in, context.bias(), u, v, c, (m.keep_v, m.keep_u))
    return s, (u, v)


RULE = Cell(sends)
