"""Dense: one weight per pair of neurons."""

from __future__ import annotations

from ....toolchain.ground.arith import effective_weights
from ....toolchain.ir.program import Dense
from ..body import Scope
from ..forms import ConnectionForm
from ..sums import matmul, scaled


def connect(c: Dense, at: Scope, x: str, binary: bool, exponent: int) -> str:
    """A = i32(W @ s)."""
    return scaled(at, matmul(at, effective_weights(c.weight), x, binary), exponent)


RULE = ConnectionForm(connect)
