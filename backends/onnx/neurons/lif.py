"""LIF: leaky integrate and fire."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ir.program import LIF, Population
from ..arithmetic import decay, wrap, wrap_current
from ..body import Scope
from ..forms import Cell, Sent


def compute(at: Scope, p: Population, ports: Mapping[str, str], state: tuple[str, ...]) -> Sent:
    """x = i32(a << 6); u, v decay and add; s = v > vth << 6, strict; v = 0 where s."""
    n, (u, v) = p.neuron, state
    assert isinstance(n, LIF)
    x = wrap(at, at.op("Mul", ports["a_in"], at.number(64)), 32)
    kept = decay(at, u, 4095 - n.du)
    u = wrap_current(at, x if kept is None else at.op("Add", kept, x))
    bias = n.bias
    drive = at.op("Add", u, at.weights(bias)) if bias.any() else u
    kept = decay(at, v, 4096 - n.dv)
    v = drive if kept is None else at.op("Add", kept, drive)
    top = (1 << 23) - 1
    v = at.op("Clip", v, at.number(-top), at.number(top))
    fires = at.op("Greater", v, at.number(n.vth << 6))
    return Sent(fires, (u, at.op("Where", fires, at.number(0), v)))


RULE = Cell(compute)
