"""Matrix products of integers, event by event: what is silent is skipped."""

from __future__ import annotations

from typing import Any

from .compiled import compiled, numba


@compiled
def multiply(a: Any, b: Any, out: Any) -> None:
    """out [G, M, N] = a [G, M, K] @ b [G, K, N]; rows of b where a is not silent."""
    groups, rows, inner = a.shape
    width = b.shape[2]
    for g in numba.prange(groups):
        for m in range(rows):
            left, row = a[g, m], out[g, m]
            row[:] = 0
            for k in range(inner):
                value = out.dtype.type(left[k])
                if value == 0:
                    continue
                added = b[g, k]
                for n in range(width):
                    row[n] += out.dtype.type(value * added[n])
