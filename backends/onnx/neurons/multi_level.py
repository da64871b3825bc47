"""MultiLevel: sends how many levels its input has passed."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import MultiLevel, Population
from ..body import INT64, Scope
from ..forms import Cell, Sent


def compute(
    at: Scope,
    p: Population,
    ports: Mapping[str, str],
    state: tuple[str, ...],
    widths: Arithmetic,
) -> Sent:
    """The sum of one comparison for each level, less one for each level below."""
    n, v = p.neuron, ports["a_in"]
    assert isinstance(n, MultiLevel)
    if n.bias.any():
        v = at.op("Add", v, at.weights(n.bias))
    sent = at.op("Mul", v, at.number(0))
    for level in n.up:
        sent = at.op("Add", sent, at.cast(at.op("Greater", v, at.number(level)), INT64))
    for level in n.down:
        sent = at.op("Sub", sent, at.cast(at.op("Less", v, at.number(level)), INT64))
    return Sent(sent)


RULE = Cell(compute)
