"""Synaptic memory that weights take, before any mapping: what the mixed-precision search saves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ....ground.arithmetic import Arithmetic
from ....ir.program import Projection


def memory_bits(projections: Iterable[Projection], widths: Arithmetic) -> int:
    """Bits of all weights: kernels once, rows and kernels of silent channels not at all.

    Patterns of one weight (Structured) count as one word of 32 bits.
    """
    return sum(_bits(j, widths) for j in projections)


def _bits(j: Projection, widths: Arithmetic) -> int:
    c = j.connection
    if c.storage == "sparse":
        return int(c.weights.size) * widths.mantissa_bits(c.weights)
    if c.storage == "pattern":
        return 32
    rows = c.weights.reshape(len(c.weights), -1)
    used = int(np.count_nonzero(rows.any(axis=1)))
    return used * rows.shape[1] * widths.mantissa_bits(c.weights)
