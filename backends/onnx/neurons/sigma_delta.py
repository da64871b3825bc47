"""SigmaDelta: a neuron that adds up changes and sends the changes of its activation."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ground.arith import WORD_BITS
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Population, SigmaDelta
from ..arithmetic import wrap
from ..body import Scope
from ..forms import Cell, Sent
from .delta import change


def compute(
    at: Scope,
    p: Population,
    ports: Mapping[str, str],
    state: tuple[str, ...],
    widths: Arithmetic,
) -> Sent:
    """sigma = i32(sigma + a); x = i32(sigma + (bias << e)), max(x, 0) if relu; then `change`."""
    n, (sigma, sent) = p.neuron, state
    assert isinstance(n, SigmaDelta)
    sigma = wrap(at, at.op("Add", sigma, ports["a_in"]), WORD_BITS)
    bias = at.weights(n.bias << (n.spike_exp + n.state_exp))
    x = wrap(at, at.op("Add", sigma, bias), WORD_BITS)
    x = at.op("Max", x, at.number(0)) if n.relu else x
    after, s = change(at, n, sent, x)
    return Sent(s, (sigma, after))


RULE = Cell(compute)
