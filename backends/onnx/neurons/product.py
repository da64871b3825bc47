"""Product: multiplies its two inputs."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Population, Product
from ..arithmetic import floor_shift, where_above, wrap
from ..body import Scope
from ..forms import Cell, Sent


def compute(
    at: Scope,
    p: Population,
    ports: Mapping[str, str],
    state: tuple[str, ...],
    widths: Arithmetic,
) -> Sent:
    """v = i32(a1 * a2) >> exp; s = v where |v| > vth, else 0."""
    assert isinstance(p.neuron, Product)
    full = wrap(at, at.op("Mul", ports["a_in1"], ports["a_in2"]), 32)
    v = floor_shift(at, full, p.neuron.exp)
    return Sent(where_above(at, at.op("Abs", v), v, p.neuron.vth))


RULE = Cell(compute)
