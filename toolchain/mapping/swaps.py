"""The loop of `regroup`: the exact change in messages of every move and swap that is tried."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sfx.toolchain.arith import IntArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
SLACK = 1e-9
CORES_TRIED = 4
"""The cores that would save a piece most messages."""
WORTHWHILE = 1e-3
"""A sweep that saves a smaller part of all that was saved is the last."""


@njit(cache=True)
def _add(c: int, amount: float, gain: Array, seen: Mask, near: IntArray, count: int) -> int:
    if not seen[c]:
        seen[c] = True
        near[count] = c
        count += 1
    gain[c] += amount
    return count


@njit(cache=True)
def _gains(
    p: int,
    core: IntArray,
    out_ptr: IntArray,
    out_to: IntArray,
    out_n: Array,
    in_ptr: IntArray,
    in_from: IntArray,
    in_n: Array,
    size: Array,
    rate: Array,
    gain: Array,
    seen: Mask,
    near: IntArray,
    heard: Array,
    cores: IntArray,
) -> tuple[int, int]:
    """gain[c]: messages a step saved if piece p, on no core now, were on c, for all c in `near`.

    Returns how many there are, and the flows looked at. `heard` is zero before and after.
    """
    count, visits = 0, 0
    for e in range(in_ptr[p], in_ptr[p + 1]):
        s, n = in_from[e], in_n[e]
        if core[s] >= 0:
            count = _add(core[s], rate[s] * n, gain, seen, near, count)
        k = 0
        visits += out_ptr[s + 1] - out_ptr[s]
        for f in range(out_ptr[s], out_ptr[s + 1]):
            c = core[out_to[f]]
            if c >= 0 and c != core[s]:
                if heard[c] == 0.0:
                    cores[k] = c
                    k += 1
                heard[c] += out_n[f]
        for i in range(k):
            c = cores[i]
            more = min(size[s], heard[c] + n) - min(size[s], heard[c])
            count = _add(c, rate[s] * (n - more), gain, seen, near, count)
            heard[c] = 0.0
    k = 0
    for f in range(out_ptr[p], out_ptr[p + 1]):
        c = core[out_to[f]]
        if c >= 0:
            if heard[c] == 0.0:
                cores[k] = c
                k += 1
            heard[c] += out_n[f]
    for i in range(k):
        c = cores[i]
        count = _add(c, rate[p] * min(size[p], heard[c]), gain, seen, near, count)
        heard[c] = 0.0
    return count, visits


@njit(cache=True)
def _fits(
    c: int, p: int, q: int, load: Array, share: Array, spent: Array, time: Array, most: float
) -> bool:
    """Has core c room and time for piece p once q (-1: none) has left?"""
    freed = time[q] if q >= 0 else 0.0
    if spent[c] - freed + time[p] > max(most, spent[c]) + SLACK:
        return False
    for r in range(share.shape[1]):
        freed = share[q, r] if q >= 0 else 0.0
        if load[c, r] - freed + share[p, r] > 1 + SLACK:
            return False
    return True


@njit(cache=True)
def _move(
    p: int,
    a: int,
    c: int,
    load: Array,
    share: Array,
    spent: Array,
    time: Array,
    head: IntArray,
    after: IntArray,
    before: IntArray,
) -> None:
    """Piece p from core a to core c, in the sums and in the cores' linked lists."""
    spent[a] -= time[p]
    spent[c] += time[p]
    for r in range(share.shape[1]):
        load[a, r] -= share[p, r]
        load[c, r] += share[p, r]
    if before[p] >= 0:
        after[before[p]] = after[p]
    else:
        head[a] = after[p]
    if after[p] >= 0:
        before[after[p]] = before[p]
    before[p], after[p] = -1, head[c]
    if head[c] >= 0:
        before[head[c]] = p
    head[c] = p


@njit(cache=True)
def improve(
    core: IntArray,
    share: Array,
    time: Array,
    most: float,
    out_ptr: IntArray,
    out_to: IntArray,
    out_n: Array,
    in_ptr: IntArray,
    in_from: IntArray,
    in_n: Array,
    size: Array,
    rate: Array,
    count: int,
    sweeps: int,
    most_visits: int,
) -> float:
    """Improve core [sources] in place, -1 for those of the host; returns the messages saved."""
    pieces, resources = share.shape
    load, spent = np.zeros((count, resources)), np.zeros(count)
    head, after, before = np.full(count, -1), np.full(pieces, -1), np.full(pieces, -1)
    for p in range(pieces):
        c = core[p]
        spent[c] += time[p]
        for r in range(resources):
            load[c, r] += share[p, r]
        after[p] = head[c]
        if head[c] >= 0:
            before[head[c]] = p
        head[c] = p
    gain, seen, near = np.zeros(count), np.zeros(count, np.bool_), np.empty(count, np.int64)
    gain2, seen2, near2 = np.zeros(count), np.zeros(count, np.bool_), np.empty(count, np.int64)
    heard, cores = np.zeros(count), np.empty(count, np.int64)
    best = np.empty(CORES_TRIED, np.int64)
    saved, visits = 0.0, 0
    for _ in range(sweeps):
        start = saved
        for p in range(pieces):
            if visits > most_visits:
                break
            a = core[p]
            core[p] = -1
            n, seen_flows = _gains(
                p, core, out_ptr, out_to, out_n, in_ptr, in_from, in_n, size, rate,
                gain, seen, near, heard, cores,
            )  # fmt: skip
            visits += seen_flows
            tried = 0
            for _ in range(CORES_TRIED):  # the cores of most gain, most first
                top = -1
                for i in range(n):
                    c = near[i]
                    if c != a and gain[c] > gain[a] + SLACK and (top < 0 or gain[c] > gain[top]):
                        known = False
                        for t in range(tried):
                            known = known or best[t] == c
                        if not known:
                            top = c
                if top < 0:
                    break
                best[tried] = top
                tried += 1
            target, partner, score = -1, -1, SLACK
            for t in range(tried):
                c = best[t]
                if _fits(c, p, -1, load, share, spent, time, most):
                    target, score = c, gain[c] - gain[a]
                    break
                q = head[c]
                while q >= 0:
                    if _fits(c, p, q, load, share, spent, time, most) and _fits(
                        a, q, p, load, share, spent, time, most
                    ):
                        core[q] = -1  # both are lifted, so what each would save is exact
                        change = 0.0
                        for piece, where, back in ((q, a, c), (p, c, a)):
                            m, seen_flows = _gains(
                                piece, core, out_ptr, out_to, out_n, in_ptr, in_from, in_n,
                                size, rate, gain2, seen2, near2, heard, cores,
                            )  # fmt: skip
                            visits += seen_flows
                            change += gain2[where] - gain2[back]
                            for i in range(m):
                                gain2[near2[i]], seen2[near2[i]] = 0.0, False
                            if piece == q and change + gain[c] - gain[a] <= score:
                                break  # without q, p gains no more on c than with it
                        core[q] = c
                        if piece == p and change > score:
                            target, partner, score = c, q, change
                    q = after[q]
                if target >= 0:
                    break
            for i in range(n):
                gain[near[i]], seen[near[i]] = 0.0, False
            core[p] = a
            if target >= 0:
                saved += score
                core[p] = target
                _move(p, a, target, load, share, spent, time, head, after, before)
                if partner >= 0:
                    core[partner] = a
                    _move(partner, target, a, load, share, spent, time, head, after, before)
        if saved - start <= WORTHWHILE * saved:
            break
    return saved
