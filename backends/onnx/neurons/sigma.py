"""Sigma: sends the sum of everything it received."""

from __future__ import annotations

from collections.abc import Mapping

from ....toolchain.ground.arith import WORD_BITS
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Population
from ..arithmetic import wrap
from ..body import Scope
from ..forms import Cell, Sent


def compute(
    at: Scope,
    p: Population,
    ports: Mapping[str, str],
    state: tuple[str, ...],
    widths: Arithmetic,
) -> Sent:
    """sigma = i32(sigma + a); s = sigma."""
    sigma = wrap(at, at.op("Add", state[0], ports["a_in"]), WORD_BITS)
    return Sent(sigma, (sigma,))


RULE = Cell(compute)
