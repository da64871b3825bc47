"""Convolutions with channels last: only inputs that are not silent are read.

Inputs are listed once per position as pairs of channels (`list_pairs`), so every layer that reads
a population, and every tap of a kernel, walks over the same short lists.
"""

from __future__ import annotations

from typing import Any

from sfx.backends.fast.compiled import compiled, np, numba
from sfx.backends.fast.multiply_add import TILE, add_pairs

CHUNK = 192
"""Rows of weights of a tile that stay in the first-level cache."""
LISTED = 1 << 16
"""List entries that a thread gathers before it multiplies: they stay in its second-level cache."""


@compiled
def list_pairs(s: Any, index: Any, value: Any, count: Any) -> None:
    """For each row of s [R, pairs] uint16 the pairs that are not zero: their index and value.

    index, value [R, pairs + 1] uint16 (entries beyond count [R] are arbitrary).
    """
    rows, pairs = s.shape
    for r in numba.prange(rows):
        k = 0
        for i in range(pairs):
            pair = s[r, i]
            index[r, k] = i
            value[r, k] = pair
            k += pair != 0
        count[r] = k


@numba.njit(inline="always")
def gather(
    index: Any, value: Any, count: Any, first: int, places: Any, pairs: int, li: Any, lv: Any
) -> int:
    """One output's list (li, lv): the inputs under all taps, by row of the weights; its length."""
    m = 0
    for tap in range(len(places)):
        p = places[tap]
        if p < 0:
            continue
        row = first + p
        entries, start = count[row], tap * pairs
        for e in range(entries):
            li[m + e] = index[row, e] + start
            lv[m + e] = value[row, e]
        m += entries
    return m


@numba.njit(inline="always")
def find_ends(li: Any, m: int, ends: Any) -> None:
    """ends[c]: entries of the ascending list li [m] that lie in chunks 0..c of CHUNK rows."""
    e = 0
    for chunk in range(len(ends)):
        limit = (chunk + 1) * CHUNK
        while e < m and li[e] < limit:
            e += 1
        ends[chunk] = e


@numba.njit(inline="always")
def add_shifted(target: Any, sums: Any, left: Any, right: Any, fresh: bool) -> None:
    """target += sums << left >> right (floor), in 32 bits; target = if fresh."""
    if fresh:
        for o in range(len(target)):
            target[o] = np.int32(np.int32(np.int32(sums[o]) << left) >> right)
    elif len(target) == TILE:  # a fixed number of turns needs no remainder
        for o in range(TILE):
            target[o] += np.int32(np.int32(np.int32(sums[o]) << left) >> right)
    else:
        for o in range(len(target)):
            target[o] += np.int32(np.int32(np.int32(sums[o]) << left) >> right)


@compiled
def convolve(
    index: Any,
    value: Any,
    count: Any,
    place: Any,
    weight: Any,
    most: int,
    shift: int,
    fresh: bool,
    out: Any,
) -> None:
    """out [N, Q, O] int32 += convolution << shift (>> -shift, floor). Inputs as of `list_pairs`.

    place [Q, taps] the input position or -1; weight [tiles, taps*pairs, TILE, 2] int8; `most`
    entries of a list may be summed in 16 bits. If fresh, out is written, not added to. A tile of
    weights serves many outputs.
    """
    n, positions, outputs = out.shape
    taps, pairs = place.shape[1], index.shape[1] - 1
    inputs = len(count) // n
    room = taps * pairs + 1
    chunks = (taps * pairs + CHUNK - 1) // CHUNK
    together = min(64, max(1, LISTED // room))
    rows = n * positions
    flat = out.reshape(rows, outputs)
    left, right = np.int32(max(shift, 0)), np.int32(max(-shift, 0))
    base, tile_bytes = weight.ctypes.data, weight.shape[1] * TILE * 2
    for block in numba.prange((rows + together - 1) // together):
        first, last = block * together, min(rows, (block + 1) * together)
        li = np.empty((together, room), np.uint16)
        lv = np.empty((together, room), np.uint16)
        lengths = np.empty(together, np.int64)
        acc = np.empty(TILE, np.int16)
        li_at, lv_at, acc_at = li.ctypes.data, lv.ctypes.data, acc.ctypes.data
        longest = 0
        for k in range(last - first):
            sample, q = (first + k) // positions, (first + k) % positions
            lengths[k] = gather(index, value, count, sample * inputs, place[q], pairs, li[k], lv[k])
            longest = max(longest, lengths[k])
        if longest <= most:  # one pass in 16 bits
            for tile in range(weight.shape[0]):
                begin, at = tile * TILE, base + tile * tile_bytes
                end = min(outputs, begin + TILE)
                for k in range(last - first):
                    if lengths[k] == 0 and fresh:
                        flat[first + k, begin:end] = 0
                    elif lengths[k] > 0:
                        skip = 2 * k * room
                        add_pairs(acc_at, li_at + skip, lv_at + skip, 0, lengths[k], at)
                        add_shifted(flat[first + k, begin:end], acc, left, right, fresh)
            continue
        total = np.empty((together, TILE), np.int32)
        ends = np.empty((together, chunks), np.int64)
        for k in range(last - first):
            find_ends(li[k], lengths[k], ends[k])
        for tile in range(weight.shape[0]):
            begin, at = tile * TILE, base + tile * tile_bytes
            end = min(outputs, begin + TILE)
            total[:] = 0
            for chunk in range(chunks):
                for k in range(last - first):
                    skip, row = 2 * k * room, total[k]
                    e = ends[k, chunk - 1] if chunk > 0 else 0
                    while e < ends[k, chunk]:
                        stop = min(ends[k, chunk], e + most)
                        add_pairs(acc_at, li_at + skip, lv_at + skip, e, stop, at)
                        for o in range(TILE):
                            row[o] += np.int32(acc[o])
                        e = stop
            for k in range(last - first):
                add_shifted(flat[first + k, begin:end], total[k], left, right, fresh)


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
