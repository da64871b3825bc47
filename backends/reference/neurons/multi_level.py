"""MultiLevel: sends how many levels its input has passed."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import MultiLevel
from ..types import Cell


def step(n: MultiLevel, a_in: IntArray) -> IntArray:
    """Integer semantics 2.4: levels passed upward less levels passed downward, both strict."""
    v = a_in + n.bias
    sent = np.zeros(a_in.shape, np.int64)
    for level in n.up:
        sent += v > level
    for level in n.down:
        sent -= v < level
    return sent


RULE = Cell(
    lambda n, state, ports, widths: (None, step(n, ports["a_in"])),
    busy=lambda n, state: n.bias != 0,
)
