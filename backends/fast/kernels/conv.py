"""Convolutions with channels last: only inputs that are not silent are read.

Inputs are listed once per position as pairs of channels (`list_pairs`), so every layer that reads
a population, and every tap of a kernel, walks over the same short lists.
"""

from __future__ import annotations

from typing import Any

from .compiled import compiled, np, numba
from .multiply_add import TILE, add_taps, copy_list
from .update import lif_step

CHUNK = 16
"""Pairs of channels of a list whose end is noted: a sum may stop and go on there."""
SHORT = 128
"""Pairs of inputs up to which the lists under the taps of an output are gathered into one."""
ROWS = 32
"""Outputs a thread sums together: they and the weights of a group stay in its caches."""


@compiled
def list_pairs(s: Any, index: Any, value: Any, ends: Any) -> None:
    """For each row of s [R, words] uint64 the pairs that are not zero: their index and value.

    A word holds as many pairs as values fit. index [R, pairs] uint16, value [R, pairs] uint16 or
    uint32 (beyond the end arbitrary); ends [R, chunks + 1] the entries before each chunk.
    """
    rows, words = s.shape
    per = 8 // value.itemsize
    chunk = CHUNK // per
    for r in numba.prange(rows):
        k = 0
        ends[r, 0] = 0
        for c in range(ends.shape[1] - 1):
            for w in range(c * chunk, min(words, (c + 1) * chunk)):
                word = s[r, w]
                if word == 0:
                    continue
                for j in range(per):
                    pair = value.dtype.type(word >> np.uint64(j * (64 // per)))
                    index[r, k] = w * per + j
                    value[r, k] = pair
                    k += pair != 0
            ends[r, c + 1] = k


@numba.njit(inline="always")
def gather(
    index: Any, value: Any, ends: Any, place: Any, groups: Any, rows: Any, first: int,
    li: Any, lv: Any, le: Any,
) -> None:  # fmt: skip
    """The lists under all taps of outputs first .. at steps `rows` as one: li, lv [Q*S, capacity].

    Indices count from the first tap on; le [Q*S, G+1] is where each group of whole taps ends.
    """
    pairs, steps = index.shape[1], len(rows)
    index_at, value_at = index.ctypes.data, value.ctypes.data
    for k in range(len(le)):
        q, row = first + k // steps, rows[k % steps]
        m = 0
        for g in range(len(groups)):
            for tap in range(groups[g, 0], groups[g, 1]):
                p = place[q, tap]
                if p < 0:
                    continue
                count = ends[row + p, ends.shape[1] - 1]
                copy_list(
                    value,
                    index_at + (row + p) * index.strides[0],
                    value_at + (row + p) * value.strides[0],
                    count, tap * pairs,
                    li.ctypes.data + k * li.strides[0] + m * li.itemsize,
                    lv.ctypes.data + k * lv.strides[0] + m * lv.itemsize,
                )  # fmt: skip
                m += count
            le[k, g + 1] = m


@numba.njit(inline="always")
def sum_gathered(
    li: Any, lv: Any, le: Any, weight: Any, tile: int, total: Any
) -> None:  # fmt: skip
    """total [Q, S, TILE] int32 from the lists of `gather`."""
    li_at, lv_at, le_at, total_at = (
        li.ctypes.data,
        lv.ctypes.data,
        le.ctypes.data,
        total.ctypes.data,
    )
    here = np.zeros(1, np.int32)
    for g in range(le.shape[1] - 1):
        for k in range(total.shape[0] * total.shape[1]):
            add_taps(
                weight, tile, li_at + k * li.strides[0], lv_at + k * lv.strides[0],
                le_at + k * le.strides[0], le.shape[1], li.shape[1], here.ctypes.data,
                (0, 1), (g, g + 1), g == 0, total_at + k * total.strides[1],
            )  # fmt: skip


@numba.njit(inline="always")
def sum_listed(
    index: Any, value: Any, ends: Any, place: Any, weight: Any, groups: Any, rows: Any,
    first: int, tile: int, total: Any,
) -> None:  # fmt: skip
    """total [Q, S, TILE] int32: outputs first .. first+Q-1 of a tile at steps `rows` [S].

    A group's weights serve all these outputs. rows: the first list of each step.
    """
    index_at, value_at, ends_at = index.ctypes.data, value.ctypes.data, ends.ctypes.data
    place_at, total_at = place.ctypes.data, total.ctypes.data
    for g in range(len(groups)):
        taps, chunks = (groups[g, 0], groups[g, 1]), (groups[g, 2], groups[g, 3])
        for k in range(total.shape[0]):
            for t in range(total.shape[1]):
                add_taps(
                    weight, tile,
                    index_at + rows[t] * index.strides[0],
                    value_at + rows[t] * value.strides[0],
                    ends_at + rows[t] * ends.strides[0],
                    ends.shape[1], index.shape[1],
                    place_at + (first + k) * place.strides[0],
                    taps, chunks, g == 0,
                    total_at + k * total.strides[0] + t * total.strides[1],
                )  # fmt: skip


@numba.njit(inline="always")
def short(place: Any, index: Any, ends: Any, groups: Any) -> Any:
    """True if the lists of several taps are better gathered into a long one.

    Lists are gathered whole, so no group may hold a part of a tap: its taps would be gathered once
    for each part.
    """
    whole = (groups[:, 2] == 0).all() and (groups[:, 3] == ends.shape[1] - 1).all()
    return place.shape[1] > 1 and index.shape[1] <= SHORT and whole


@compiled
def convolve(
    index: Any, value: Any, ends: Any, place: Any, weight: Any, groups: Any, shift: int,
    fresh: bool, out: Any,
) -> None:  # fmt: skip
    """out [N, Q, O] int32 += convolution << shift (>> -shift, floor). Inputs as of `list_pairs`.

    place [Q, taps] the input position or -1; weight [tiles, taps, pairs, TILE, 2] int8 or int16;
    groups [G, 4]: taps from, to, chunks from, to: what may be summed together. If fresh, out is
    written, not added to.
    """
    n, positions, outputs = out.shape
    inputs = len(ends) // n
    blocks = (positions + ROWS - 1) // ROWS
    left, right = np.int32(max(shift, 0)), np.int32(max(-shift, 0))
    gathered = short(place, index, ends, groups)
    tiles = weight.shape[0] if gathered else 1  # of one task
    tasks = n * blocks
    for task in numba.prange(weight.shape[0] // tiles * tasks):
        sample, first = task % tasks // blocks, task % blocks * ROWS
        total = np.empty((min(ROWS, positions - first), 1, TILE), np.int32)
        rows = np.full(1, sample * inputs)
        li, lv, le = empty_lists(index, value, place, groups, len(total) if gathered else 0)
        if gathered:
            gather(index, value, ends, place, groups, rows, first, li, lv, le)
        for tile in range(task // tasks * tiles, (task // tasks + 1) * tiles):
            if gathered:
                sum_gathered(li, lv, le, weight, tile, total)
            else:
                sum_listed(index, value, ends, place, weight, groups, rows, first, tile, total)
            begin, end = tile * TILE, min(outputs, (tile + 1) * TILE)
            for k in range(len(total)):
                row, target = total[k, 0], out[sample, first + k, begin:end]
                if fresh:
                    for o in range(end - begin):
                        target[o] = np.int32(np.int32(row[o] << left) >> right)
                else:
                    for o in range(end - begin):
                        target[o] += np.int32(np.int32(row[o] << left) >> right)


@numba.njit(inline="always")
def empty_lists(index: Any, value: Any, place: Any, groups: Any, rows: int) -> Any:
    """Memory for what `gather` fills, for this many rows."""
    capacity = place.shape[1] * index.shape[1] + 16
    return (
        np.empty((rows, capacity), index.dtype),
        np.empty((rows, capacity), value.dtype),
        np.zeros((rows, len(groups) + 1), np.int64),
    )


@compiled
def convolve_lif(
    index: Any, value: Any, ends: Any, place: Any, weight: Any, groups: Any, shift: int,
    extra: Any, bias: Any, decays: Any, first: int, every: int, begin: int,
    out: Any, events: Any, active: Any,
) -> None:  # fmt: skip
    """`convolve`, and at once the neurons that receive it: their input never leaves the caches.

    extra [B, S, n] int32 what else they receive ([0, 0, 0]: nothing); bias [n], decays as of
    `update`; u = v = 0 at step `begin`, before which nothing is sent. The rest as of `lif`.
    """
    lanes, steps, n = out.shape
    positions = len(place)
    outputs, inputs = n // positions, len(ends) // (lanes * steps)
    together = max(1, ROWS // steps)
    blocks = (positions + together - 1) // together
    gathered = short(place, index, ends, groups)
    tiles = weight.shape[0] if gathered else 1  # of one task
    for task in numba.prange(weight.shape[0] // tiles * blocks):
        q = task % blocks * together
        total = np.empty((min(together, positions - q), steps - begin, TILE), np.int32)
        li, lv, le = empty_lists(index, value, place, groups, total.size // TILE if gathered else 0)
        for b in range(lanes):
            rows = (b * steps + begin + np.arange(steps - begin)) * inputs
            if gathered:
                gather(index, value, ends, place, groups, rows, q, li, lv, le)
            for tile in range(task // blocks * tiles, (task // blocks + 1) * tiles):
                if gathered:
                    sum_gathered(li, lv, le, weight, tile, total)
                else:
                    sum_listed(index, value, ends, place, weight, groups, rows, q, tile, total)
                size = min(TILE, outputs - tile * TILE)
                update(
                    total, shift, extra, bias, decays, first, every, b, begin,
                    q * outputs + tile * TILE, outputs, size, out, events, active,
                )  # fmt: skip


@numba.njit(inline="always")
def update(
    total: Any, shift: int, extra: Any, bias: Any, decays: Any, first: int, every: int, b: int,
    begin: int, at: int, outputs: int, size: int, out: Any, events: Any, active: Any,
) -> None:  # fmt: skip
    """Neurons at .. at+size-1, and the same `outputs` later, by row of total [Q, S, TILE]."""
    shifts = max(shift, 0), max(-shift, 0)
    u, v = np.empty(TILE, np.int32), np.empty(TILE, np.int32)
    extra_at, nothing = np.int64(extra.ctypes.data), np.int64(0)
    for k in range(total.shape[0]):
        u[:] = 0
        v[:] = 0
        left = (begin - first) % every if every > 0 else 0
        for t in range(total.shape[1]):
            if left == every:
                left = 0
                u[:] = 0
                v[:] = 0
            left += 1
            s = begin + t
            more = nothing
            if len(extra) > 0:
                more = extra_at + b * extra.strides[0] + s * extra.strides[1] + 4 * at
            lif_step(
                size, total.ctypes.data + k * total.strides[0] + t * total.strides[1], shifts,
                more, u.ctypes.data, v.ctypes.data, bias.ctypes.data + 4 * at, decays,
                out.ctypes.data + b * out.strides[0] + s * out.strides[1] + at,
                events.ctypes.data + s * events.strides[0] + at,
                active.ctypes.data + s * active.strides[0] + at,
            )  # fmt: skip
        at += outputs


@compiled
def convolve_channels(s: Any, place: Any, weight: Any, shift: int, fresh: bool, out: Any) -> None:
    """A kernel per channel: out [N, Q, C] int32 += (sum over taps of s * weight) << shift.

    s [N, P, C]; place [Q, taps] the input position or -1; weight [taps, C] int32.
    """
    n, positions, channels = out.shape
    left, right = np.int32(max(shift, 0)), np.int32(max(-shift, 0))
    for r in numba.prange(n * positions):
        sample, q = r // positions, r % positions
        total = np.zeros(channels, np.int32)
        for tap in range(place.shape[1]):
            p = place[q, tap]
            if p < 0:
                continue
            row, w = s[sample, p], weight[tap]
            for c in range(channels):
                total[c] += np.int32(row[c]) * w[c]
        target = out[sample, q]
        if fresh:
            target[:] = 0
        for c in range(channels):
            target[c] += np.int32(np.int32(total[c] << left) >> right)
