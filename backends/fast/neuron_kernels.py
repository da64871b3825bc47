"""What the neurons make of it: all steps of many lanes, a block of neurons at a time.

Events and active neurons are counted in bytes: callers hand over at most 255 lanes at a time.
"""

from __future__ import annotations

from typing import Any

from sfx.backends.fast.compiled import compiled, np, numba

BLOCK = 256
"""Neurons a thread updates together: their state stays in its first-level cache."""


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
                    active_row[i] += np.uint8((now | ui | vi | bi) != 0)
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
                    event_row[i] += np.uint8(spike)


@numba.njit(inline="always")
def decayed(x: Any, factor: Any) -> Any:
    """x * factor >> 12 toward zero for |x| <= 2^23, factor <= 4096: in two parts, 32 bits."""
    size = np.int32(abs(x))
    high = np.int32(np.int32(size >> 12) * factor)
    low = np.int32(np.int32(np.int32(size & 4095) * factor) >> 12)
    out = np.int32(high + low)
    return np.int32(-out) if x < 0 else out


@compiled
def lif_narrow(
    a: Any, u: Any, v: Any, bias: Any, decays: Any, first: int, every: int,
    out: Any, events: Any, active: Any,
) -> None:  # fmt: skip
    """`lif` in 32 bits: |a| <= 2^17 and |u| <= 2^23, so no sum needs more and u wraps once.

    a [B, S, n] int32; u, v [B, n], bias [n], decays all int32; the rest as of `lif`.
    """
    lanes, steps, n = a.shape
    fu, fv, limit = decays[0], decays[1], decays[2]
    top, turn, half = np.int32((1 << 23) - 1), np.int32(1 << 24), np.int32(1 << 23)
    for block in numba.prange((n + BLOCK - 1) // BLOCK):
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
                if fu == 0:
                    for i in range(end - begin):
                        now, ui, vi, bi = a_row[i], u_row[i], v_row[i], bias_row[i]
                        active_row[i] += np.uint8((now | ui | vi | bi) != 0)
                        ui = np.int32(now << 6)
                        ui = np.int32(ui - turn) if ui > half else ui
                        ui = np.int32(ui + turn) if ui <= -half else ui
                        vi = np.int32(np.int32(decayed(vi, fv) + ui) + bi)
                        vi = min(max(vi, np.int32(-top)), top)
                        spike = vi > limit
                        u_row[i] = ui
                        v_row[i] = np.int32(0) if spike else vi
                        out_row[i] = spike
                        event_row[i] += np.uint8(spike)
                    continue
                for i in range(end - begin):
                    now, ui, vi, bi = a_row[i], u_row[i], v_row[i], bias_row[i]
                    active_row[i] += np.uint8((now | ui | vi | bi) != 0)
                    ui = np.int32(decayed(ui, fu) + np.int32(now << 6))
                    ui = np.int32(ui - turn) if ui > half else ui
                    ui = np.int32(ui + turn) if ui <= -half else ui
                    vi = np.int32(np.int32(decayed(vi, fv) + ui) + bi)
                    vi = min(max(vi, np.int32(-top)), top)
                    spike = vi > limit
                    u_row[i] = ui
                    v_row[i] = np.int32(0) if spike else vi
                    out_row[i] = spike
                    event_row[i] += np.uint8(spike)


@compiled
def graded(a: Any, vth: int, positive: bool, out: Any, events: Any, active: Any, ends: Any) -> None:
    """Graded and GradedReLU (`positive`). a, out [B, S, n]; events, active [S, n] are added to.

    ends [blocks, 2] gets the least and greatest value sent by each block of neurons.
    """
    lanes, steps, n = a.shape
    for block in numba.prange((n + BLOCK - 1) // BLOCK):
        begin, end = block * BLOCK, min(n, (block + 1) * BLOCK)
        sent = np.empty(BLOCK, a.dtype)
        low, high = sent.dtype.type(0), sent.dtype.type(0)
        for b in range(lanes):
            for t in range(steps):
                a_row, out_row = a[b, t, begin:end], out[b, t, begin:end]
                event_row, active_row = events[t, begin:end], active[t, begin:end]
                for i in range(end - begin):
                    now = a_row[i]
                    big = now > vth or (now < -vth and not positive)
                    value = now if big else 0
                    sent[i] = value
                    out_row[i] = value
                    active_row[i] += np.uint8(now != 0)
                    event_row[i] += np.uint8(value != 0)
                for i in range(end - begin):
                    low, high = min(low, sent[i]), max(high, sent[i])
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
                    active[t, i] += np.uint8((x | y) != 0)
                    events[t, i] += np.uint8(value != 0)
                    low, high = min(low, value), max(high, value)
                    out[b, t, i] = value
        ends[block, 0], ends[block, 1] = low, high


@compiled
def largest(a: Any, ends: Any) -> None:
    """ends [blocks] gets the largest |a| of each block of BLOCK * 64 of the values a [n]."""
    size = BLOCK * 64
    for block in numba.prange(len(ends)):
        most = np.int32(0)
        for i in range(block * size, min(len(a), (block + 1) * size)):
            most = max(most, np.int32(abs(a[i])))
        ends[block] = most
