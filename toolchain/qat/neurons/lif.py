"""LIF: leaky integrate and fire, with a surrogate gradient."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ...ground.arith import INPUT_SHIFT
from ...ir.program import LIF, Population
from .. import straight
from ..rules import Cell, Context, Moving, State


def sends(
    q: Population, ports: Mapping[str, Tensor], context: Context, state: State | None
) -> tuple[Tensor, State | None]:
    """Without `reset` nothing is left a step later, so only the threshold counts."""
    n, a_in = q.neuron, ports["a_in"]
    assert isinstance(n, LIF)
    if not n.reset:
        return straight.above(a_in + context.bias() / (1 << INPUT_SHIFT), n.vth), None
    zero = a_in.new_zeros(a_in.shape[1], q.size)
    u, v = (zero, zero) if state is None else state
    m = context.moving or Moving(n)
    c = straight.Constants.of(m.neuron, context.widths)
    s, u, v = straight.lif(a_in, context.bias(), u, v, c, (m.threshold, m.keep_v, m.keep_u))
    return s, (u, v)


RULE = Cell(sends)
