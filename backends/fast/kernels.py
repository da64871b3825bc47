"""Integer loops compiled by numba: what arrives, and what the neurons make of it.

All results are exact: the callers prove that no sum leaves its integer type. Threads split samples
or neurons, never a sum, so that results do not depend on their number.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sfx.toolchain.errors import MissingPartError

try:
    import numba
    import numpy as np
except ModuleNotFoundError as error:
    raise MissingPartError(
        "SFX-E540",
        f"the fast backend needs {error.name}, which is not installed",
        hint="install numba, or use the reference backend",
    ) from None

SMALL = 1 << 16
"""Array elements below which waking other threads takes longer than the work."""
BLOCK = 256
"""Neurons a thread updates together: their state stays in its first-level cache."""


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """`function` as machine code, kept on disk between processes; small work stays on one core."""
    made = numba.njit(function, parallel=True, cache=True, nogil=True)

    @functools.wraps(function)
    def call(*arguments: Any) -> None:
        if max(a.size for a in arguments if isinstance(a, np.ndarray)) >= SMALL:
            made(*arguments)
            return
        threads = numba.get_num_threads()
        numba.set_num_threads(1)
        try:
            made(*arguments)
        finally:
            numba.set_num_threads(threads)

    return call


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


@compiled
def lif(
    a: Any, u: Any, v: Any, bias: Any, decays: Any, first: int, every: int,
    out: Any, events: Any, active: Any,
) -> None:  # fmt: skip
    """Steps of LIF neurons (`ir.program.LIF`). a, out [B, S, n]; u, v [B, n] int64, updated.

    decays (factor of u, factor of v, threshold << 6), fractions of 4096. If every > 0, u = v = 0
    before each step t with (t - first) mod every = 0. events, active [S, n] are added to.
    """
    lanes, steps, n = a.shape
    fu, fv, limit = decays[0], decays[1], decays[2]
    top = (1 << 23) - 1
    for block in numba.prange((n + BLOCK - 1) // BLOCK):
        # Rows of their own and a count from 0: then the compiler can use vector instructions.
        begin, end = block * BLOCK, min(n, (block + 1) * BLOCK)
        bias_row = bias[begin:end]
        for b in range(lanes):
            u_row, v_row = u[b, begin:end], v[b, begin:end]
            for t in range(steps):
                if every > 0 and (t - first) % every == 0:
                    u_row[:] = 0
                    v_row[:] = 0
                a_row, out_row = a[b, t, begin:end], out[b, t, begin:end]
                event_row, active_row = events[t, begin:end], active[t, begin:end]
                for i in range(end - begin):
                    now, ui, vi, bi = np.int64(a_row[i]), u_row[i], v_row[i], bias_row[i]
                    active_row[i] += (now | ui | vi | bi) != 0
                    # toward zero: negative values are rounded up by the shift
                    ui, vi = ui * fu, vi * fv
                    ui = (ui + ((ui >> 63) & 4095)) >> 12
                    vi = (vi + ((vi >> 63) & 4095)) >> 12
                    ui += np.int64(np.int32(now << 6))
                    if ui > (1 << 23):
                        ui -= 1 << 24
                    elif ui <= -(1 << 23):
                        ui += 1 << 24
                    vi = min(max(vi + ui + bi, -top), top)
                    spike = vi > limit
                    u_row[i] = ui
                    v_row[i] = 0 if spike else vi
                    out_row[i] = spike
                    event_row[i] += spike


@compiled
def graded(a: Any, vth: int, positive: bool, out: Any, events: Any, active: Any, ends: Any) -> None:
    """Graded and GradedReLU (`positive`). a, out [B, S, n]; events, active [S, n] are added to.

    ends [blocks, 2] gets the least and greatest value sent by each block of neurons.
    """
    lanes, steps, n = a.shape
    for block in numba.prange((n + BLOCK - 1) // BLOCK):
        low, high = np.int64(0), np.int64(0)
        for b in range(lanes):
            for t in range(steps):
                for i in range(block * BLOCK, min(n, (block + 1) * BLOCK)):
                    now = np.int64(a[b, t, i])
                    size = now if positive else abs(now)
                    value = now if size > vth else np.int64(0)
                    active[t, i] += now != 0
                    events[t, i] += value != 0
                    low, high = min(low, value), max(high, value)
                    out[b, t, i] = value
        ends[block, 0], ends[block, 1] = low, high


@compiled
def product(
    a1: Any, a2: Any, exp: int, vth: int, out: Any, events: Any, active: Any, ends: Any
) -> None:
    """Product. a1, a2, out [B, S, n]; the rest as of `graded`."""
    lanes, steps, n = a1.shape
    for block in numba.prange((n + BLOCK - 1) // BLOCK):
        low, high = np.int64(0), np.int64(0)
        for b in range(lanes):
            for t in range(steps):
                for i in range(block * BLOCK, min(n, (block + 1) * BLOCK)):
                    x, y = np.int64(a1[b, t, i]), np.int64(a2[b, t, i])
                    v = np.int64(np.int32(x * y)) >> exp
                    value = v if abs(v) > vth else np.int64(0)
                    active[t, i] += (x | y) != 0
                    events[t, i] += value != 0
                    low, high = min(low, value), max(high, value)
                    out[b, t, i] = value
        ends[block, 0], ends[block, 1] = low, high
