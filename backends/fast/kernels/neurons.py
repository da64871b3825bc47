"""What the neurons make of it: all steps of many lanes, a block of neurons at a time.

Events and active neurons are counted in bytes: callers hand over at most 255 lanes at a time.
"""

from __future__ import annotations

from typing import Any

from ....toolchain.ground.arith import INPUT_SHIFT
from .compiled import compiled, np, numba
from .multiply_add import TILE
from .update import lif_step

BLOCK = 256
"""Neurons a thread updates together: their state stays in its first-level cache."""


@compiled
def lif(
    a: Any, u: Any, v: Any, bias: Any, decays: Any, first: int, every: int,
    out: Any, events: Any, active: Any,
) -> None:  # fmt: skip
    """Steps of LIF neurons (`ir.program.LIF`). a, out [B, S, n]; u, v [B, n] int64, updated.

    decays (factor of u, factor of v, threshold << 6, -, -, decay bits, largest v): factors are
    fractions of 2^(decay bits). If every > 0, u = v = 0 before each step t with (t - first) mod
    every = 0. events, active [S, n] are added to.
    """
    lanes, steps, n = a.shape
    fu, fv, limit, bits, top = decays[0], decays[1], decays[2], decays[5], decays[6]
    below, half = (np.int64(1) << bits) - 1, top + 1
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
                    ui = (ui + ((ui >> 63) & below)) >> bits
                    vi = (vi + ((vi >> 63) & below)) >> bits
                    ui += np.int64(np.int32(now << INPUT_SHIFT))
                    if ui > half:
                        ui -= 2 * half
                    elif ui <= -half:
                        ui += 2 * half
                    vi = min(max(vi + ui + bi, -top), top)
                    spike = vi > limit
                    u_row[i] = ui
                    v_row[i] = 0 if spike else vi
                    out_row[i] = spike
                    event_row[i] += np.uint8(spike)


@compiled
def lif_narrow(
    a: Any, u: Any, v: Any, bias: Any, decays: Any, first: int, every: int,
    out: Any, events: Any, active: Any,
) -> None:  # fmt: skip
    """`lif` in 32 bits, if `update.lif_step` may be used; decays as there.

    a [B, S, n], u, v [B, n], bias [n] int32. Without u, v ([0, n]) the neurons begin at 0.
    """
    lanes, steps, n = a.shape
    a_at, bias_at, out_at = a.ctypes.data, bias.ctypes.data, out.ctypes.data
    events_at, active_at, nothing = events.ctypes.data, active.ctypes.data, np.int64(0)
    for tile in numba.prange((n + TILE - 1) // TILE):
        at, size = tile * TILE, min(TILE, n - tile * TILE)
        own_u, own_v = np.zeros(TILE, np.int32), np.zeros(TILE, np.int32)
        for b in range(lanes):
            own_u[:] = 0
            own_v[:] = 0
            if len(u) > 0:
                own_u[:size] = u[b, at : at + size]
                own_v[:size] = v[b, at : at + size]
            for t in range(steps):
                if every > 0 and (t - first) % every == 0:
                    own_u[:] = 0
                    own_v[:] = 0
                lif_step(
                    size, a_at + b * a.strides[0] + t * a.strides[1] + 4 * at, (0, 0), nothing,
                    own_u.ctypes.data, own_v.ctypes.data, bias_at + 4 * at, decays,
                    out_at + b * out.strides[0] + t * out.strides[1] + at,
                    events_at + t * events.strides[0] + at,
                    active_at + t * active.strides[0] + at,
                )  # fmt: skip
            if len(u) > 0:
                u[b, at : at + size] = own_u[:size]
                v[b, at : at + size] = own_v[:size]


@compiled
def graded(a: Any, vth: int, positive: bool, out: Any, events: Any, active: Any, ends: Any) -> None:
    """Graded and GradedReLU (`positive`). a, out [B, S, n]; events, active [S, n] are added to.

    ends [blocks, 2] gets the least and greatest value sent by each block of neurons.
    """
    lanes, steps, n = a.shape
    # constants of the values' own type: then the compiler can use vector instructions
    over, under, silent = a.dtype.type(vth), a.dtype.type(-vth), a.dtype.type(0)
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
                    big = (now > over) | ((now < under) & (not positive))
                    value = now if big else silent
                    sent[i] = value
                    out_row[i] = value
                    active_row[i] += np.uint8(now != 0)
                    event_row[i] += np.uint8(value != 0)
                for i in range(end - begin):
                    low, high = min(low, sent[i]), max(high, sent[i])
        ends[block, 0], ends[block, 1] = low, high


@compiled
def multi_level(
    a: Any, bias: Any, up: Any, down: Any, out: Any, events: Any, active: Any, ends: Any
) -> None:
    """MultiLevel. a, out [B, S, n]; bias [n]; up, down: levels, int64; the rest as of `graded`."""
    lanes, steps, n = a.shape
    for block in numba.prange((n + BLOCK - 1) // BLOCK):
        low, high = np.int64(0), np.int64(0)
        for b in range(lanes):
            for t in range(steps):
                for i in range(block * BLOCK, min(n, (block + 1) * BLOCK)):
                    now, drive = np.int64(a[b, t, i]), np.int64(bias[i])
                    v, value = now + drive, np.int64(0)
                    for level in up:
                        value += np.int64(v > level)
                    for level in down:
                        value -= np.int64(v < level)
                    out[b, t, i] = value
                    active[t, i] += np.uint8((now | drive) != 0)
                    events[t, i] += np.uint8(value != 0)
                    low, high = min(low, value), max(high, value)
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
