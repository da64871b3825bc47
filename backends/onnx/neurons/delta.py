"""Delta: an input that sends the changes of the sample's values."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ground.arith import WORD_BITS
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Delta, Population, SigmaDelta
from ..arithmetic import floor_shift, wrap
from ..body import Scope
from ..forms import Cell, Sent


def change(at: Scope, n: Delta | SigmaDelta, sent: str, x: str) -> tuple[str, str]:
    """d = i32(x - sent) where |d| >= vth << e, else 0: what was sent after it, and s."""
    d = wrap(at, at.op("Sub", x, sent), WORD_BITS)
    size = wrap(at, at.op("Abs", d), WORD_BITS)
    threshold = at.number(n.vth << (n.spike_exp + n.state_exp))
    fired = at.op("Where", at.op("GreaterOrEqual", size, threshold), d, at.number(0))
    after = wrap(at, at.op("Add", sent, fired), WORD_BITS)
    return after, floor_shift(at, fired, n.state_exp)


def compute(
    at: Scope,
    p: Population,
    ports: Mapping[str, str],
    state: tuple[str, ...],
    widths: Arithmetic,
) -> Sent:
    """x = i32(event << e), then `change`."""
    n = p.neuron
    assert isinstance(n, Delta)
    scaled = at.op("Mul", ports["events"], at.number(1 << (n.spike_exp + n.state_exp)))
    after, s = change(at, n, state[0], wrap(at, scaled, WORD_BITS))
    return Sent(s, (after,))


RULE = Cell(compute)
