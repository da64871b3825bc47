"""Dense: one weight per pair of neurons."""

from __future__ import annotations

from ....toolchain.ir.program import Dense
from ..body import Scope
from ..forms import ConnectionForm, How
from ..sums import matmul, scaled


def connect(c: Dense, at: Scope, x: str, how: How) -> str:
    """A = i32(W @ s)."""
    return scaled(
        at, matmul(at, how.widths.effective_weights(c.weight), x, how.binary), how.exponent
    )


RULE = ConnectionForm(connect)
