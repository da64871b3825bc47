"""What arrives: sums of any connection in integers of 32 or 64 bits.

All results are exact: the callers prove that no sum leaves its integer type. Threads split samples,
never a sum, so that results do not depend on their number.
"""

from __future__ import annotations

from typing import Any

from .compiled import compiled, numba


@compiled
def add_events(s: Any, weight: Any, place: Any, per_group: int, acc: Any) -> None:
    """Convolution as sums of the weight rows of the inputs that are not silent.

    s [N, I, P] what pre sent (any strides); weight [I, kernel positions, O/groups]; place
    [P, kernel positions] the output position or -1; acc [N, Q, O] is added to.
    """
    n, channels, positions = s.shape
    taps, width = weight.shape[1], weight.shape[2]
    for k in numba.prange(n):
        for i in range(channels):
            first = (i // per_group) * width
            for p in range(positions):
                value = s[k, i, p]
                if value == 0:
                    continue
                for a in range(taps):
                    q = place[p, a]
                    if q < 0:
                        continue
                    row = acc[k, q, first : first + width]
                    w = weight[i, a]
                    if value == 1:
                        for o in range(width):
                            row[o] += w[o]
                    else:
                        for o in range(width):
                            row[o] += value * w[o]


@compiled
def add_columns(s: Any, indptr: Any, rows: Any, data: Any, acc: Any) -> None:
    """acc [N, post] += the sparse columns (indptr, rows, data) of the inputs s [N, pre]."""
    n, inputs = s.shape
    for k in numba.prange(n):
        for i in range(inputs):
            value = s[k, i]
            if value == 0:
                continue
            for e in range(indptr[i], indptr[i + 1]):
                acc[k, rows[e]] += value * data[e]


@compiled
def add_up(s: Any, target: Any, acc: Any) -> None:
    """acc [N, groups] += s [N, pre], input i into group target[i]."""
    n, inputs = s.shape
    for k in numba.prange(n):
        for i in range(inputs):
            acc[k, target[i]] += s[k, i]


@compiled
def spread(x: Any, source: Any, weight: Any, out: Any) -> None:
    """out[k, q] = weight * x[k, source[q]]. x [N, groups], out [N, post]."""
    n, outputs = out.shape
    for k in numba.prange(n):
        for q in range(outputs):
            out[k, q] = weight * x[k, source[q]]
