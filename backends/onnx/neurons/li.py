"""LI: leaky integrate without fire, a membrane that is read out."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ground.arith import INPUT_SHIFT
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import LI, Population
from ..arithmetic import decay, wrap, wrap_current
from ..body import Scope
from ..forms import Cell, Sent


def compute(
    at: Scope,
    p: Population,
    ports: Mapping[str, str],
    state: tuple[str, ...],
    widths: Arithmetic,
) -> Sent:
    """x = i32(a << 6); u, v decay and add; v saturates and is sent."""
    n, (u, v) = p.neuron, state
    assert isinstance(n, LI)
    x = wrap(at, at.op("Mul", ports["a_in"], at.number(1 << INPUT_SHIFT)), 32)
    kept = decay(at, u, widths.full_decay - n.du, widths)
    u = wrap_current(at, x if kept is None else at.op("Add", kept, x), widths)
    drive = at.op("Add", u, at.weights(n.bias)) if n.bias.any() else u
    kept = decay(at, v, widths.decay_unity - n.dv, widths)
    v = drive if kept is None else at.op("Add", kept, drive)
    top = widths.state_limit - 1
    v = at.op("Clip", v, at.number(-top), at.number(top))
    return Sent(v, (u, v))


RULE = Cell(compute)
