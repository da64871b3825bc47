"""The loop of `regroup`: the exact change in messages of every move and swap that is tried."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ground.machine_code import kept

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
SLACK = 1e-9
CORES_TRIED = 4
"""The cores that would save a piece most messages."""
WORTHWHILE = 1e-3
"""A sweep that saves a smaller part of all that was saved is the last."""


class Links(NamedTuple):
    """`Flows` by rows (out: what a source drives) and by columns (in: what drives a piece)."""

    out_ptr: IntArray
    out_to: IntArray
    out_n: Array
    in_ptr: IntArray
    in_from: IntArray
    in_n: Array
    size: Array
    rate: Array


class Cores(NamedTuple):
    """What is on the cores: sums [cores, resources], [cores]; linked lists of their pieces.

    held   [cores, populations] pieces of each population;  kinds  [cores] populations held
    """

    share: Array
    time: Array
    group: IntArray
    held: NDArray[np.int32]
    kinds: IntArray
    load: Array
    spent: Array
    head: IntArray
    after: IntArray
    before: IntArray


class Gains(NamedTuple):
    """gain[c]: messages a step saved if a lifted piece were on c, for all c in `near`.

    drivers[c]: neurons of one source that drive core c, for all c in `cores`; zero between calls.
    """

    gain: Array
    seen: Mask
    near: IntArray
    drivers: Array
    cores: IntArray


@kept()
def _add(c: int, amount: float, gains: Gains, count: int) -> int:
    if not gains.seen[c]:
        gains.seen[c] = True
        gains.near[count] = c
        count += 1
    gains.gain[c] += amount
    return count


@kept()
def _count_drivers(s: int, core: IntArray, links: Links, gains: Gains) -> int:
    """Fill `drivers` for the other cores that source s drives; returns how many."""
    k = 0
    for f in range(links.out_ptr[s], links.out_ptr[s + 1]):
        c = core[links.out_to[f]]
        if c >= 0 and c != core[s]:  # on its own core a spike costs no message
            if gains.drivers[c] == 0.0:  # met for the first time
                gains.cores[k] = c
                k += 1
            gains.drivers[c] += links.out_n[f]
    return k


@kept()
def _weigh(p: int, core: IntArray, links: Links, gains: Gains) -> tuple[int, int]:
    """`gains` of piece p, which is on no core now; returns their number, and the flows seen."""
    size, rate, drivers = links.size, links.rate, gains.drivers
    count, visits = 0, 0
    for e in range(links.in_ptr[p], links.in_ptr[p + 1]):
        s, n = links.in_from[e], links.in_n[e]
        if core[s] >= 0:  # beside its source p needs no message of it; the host's it always needs
            count = _add(core[s], rate[s] * n, gains, count)
        visits += links.out_ptr[s + 1] - links.out_ptr[s]
        for i in range(_count_drivers(s, core, links, gains)):
            c = gains.cores[i]
            # As in `traffic`, pieces are taken to receive different neurons of s until there are
            # no more of them; from there on core c receives all of s already.
            more = min(size[s], drivers[c] + n) - min(size[s], drivers[c])
            count = _add(c, rate[s] * (n - more), gains, count)
            drivers[c] = 0.0
    for i in range(_count_drivers(p, core, links, gains)):
        c = gains.cores[i]
        count = _add(c, rate[p] * min(size[p], drivers[c]), gains, count)
        drivers[c] = 0.0
    return count, visits


@kept()
def _forget(gains: Gains, count: int) -> None:
    for i in range(count):
        gains.gain[gains.near[i]], gains.seen[gains.near[i]] = 0.0, False


@kept()
def _most_gain(a: int, gains: Gains, count: int, best: IntArray) -> int:
    """Fill `best` with the cores that gain more than core a, most first; returns how many."""
    tried = 0
    for _ in range(CORES_TRIED):
        top = -1
        for i in range(count):
            c = gains.near[i]
            if c != a and gains.gain[c] > gains.gain[a] + SLACK:
                known = False
                for t in range(tried):
                    known = known or best[t] == c
                if not known and (top < 0 or gains.gain[c] > gains.gain[top]):
                    top = c
        if top < 0:
            break
        best[tried] = top
        tried += 1
    return tried


@kept()
def _fits(c: int, p: int, q: int, cores: Cores, most: float, groups: int) -> bool:
    """Has core c space and time for piece p once q (-1: none) has left?"""
    freed = cores.time[q] if q >= 0 else 0.0
    more = 1 if cores.held[c, cores.group[p]] == 0 else 0
    if q >= 0 and cores.group[q] == cores.group[p]:
        more = 0
    elif q >= 0 and cores.held[c, cores.group[q]] == 1:
        more -= 1
    if more > 0 and cores.kinds[c] + more > groups:
        return False
    # packing may have left a core busier than `most`: it may stay so, and get no busier
    if cores.spent[c] - freed + cores.time[p] > max(most, cores.spent[c]) + SLACK:
        return False
    for r in range(cores.share.shape[1]):
        freed = cores.share[q, r] if q >= 0 else 0.0
        if cores.load[c, r] - freed + cores.share[p, r] > 1 + SLACK:
            return False
    return True


@kept()
def _enter(p: int, c: int, cores: Cores) -> None:
    head, after, before = cores.head, cores.after, cores.before
    cores.spent[c] += cores.time[p]
    if cores.held[c, cores.group[p]] == 0:
        cores.kinds[c] += 1
    cores.held[c, cores.group[p]] += 1
    for r in range(cores.share.shape[1]):
        cores.load[c, r] += cores.share[p, r]
    before[p], after[p] = -1, head[c]
    if head[c] >= 0:
        before[head[c]] = p
    head[c] = p


@kept()
def _leave(p: int, a: int, cores: Cores) -> None:
    head, after, before = cores.head, cores.after, cores.before
    cores.spent[a] -= cores.time[p]
    cores.held[a, cores.group[p]] -= 1
    if cores.held[a, cores.group[p]] == 0:
        cores.kinds[a] -= 1
    for r in range(cores.share.shape[1]):
        cores.load[a, r] -= cores.share[p, r]
    if before[p] >= 0:
        after[before[p]] = after[p]
    else:
        head[a] = after[p]
    if after[p] >= 0:
        before[after[p]] = before[p]


@kept()
def _swap(
    p: int, a: int, q: int, c: int, alone: float, score: float,
    core: IntArray, links: Links, gains: Gains,
) -> tuple[float, int]:  # fmt: skip
    """What a swap of p (lifted from a) and q (on c) saves, or 0 if no more than `score`.

    alone: what p saves on c beside q. Both are lifted, so what each would save is exact.
    """
    core[q] = -1
    count, visits = _weigh(q, core, links, gains)
    change = gains.gain[a] - gains.gain[c]
    _forget(gains, count)
    if change + alone > score:  # without q, p gains no more on c than with it
        count, more = _weigh(p, core, links, gains)
        change += gains.gain[c] - gains.gain[a]
        visits += more
        _forget(gains, count)
    else:
        change = 0.0
    core[q] = c
    return change, visits


@kept()
def _where(
    p: int, a: int, most: float, groups: int, core: IntArray, links: Links, cores: Cores,
    gains: Gains, other: Gains, best: IntArray,
) -> tuple[int, int, float, int]:  # fmt: skip
    """Core for p, lifted from a (-1: none); its partner in a swap; what it saves; flows seen."""
    count, visits = _weigh(p, core, links, gains)
    target, partner, score = -1, -1, SLACK
    for t in range(_most_gain(a, gains, count, best)):
        c = best[t]
        alone = gains.gain[c] - gains.gain[a]
        if _fits(c, p, -1, cores, most, groups):  # the cores after it gain less
            target, score = c, alone
            break
        q = cores.head[c]
        while q >= 0:
            if _fits(c, p, q, cores, most, groups) and _fits(a, q, p, cores, most, groups):
                change, more = _swap(p, a, q, c, alone, score, core, links, other)
                visits += more
                if change > score:
                    target, partner, score = c, q, change
            q = cores.after[q]
        if target >= 0:
            break
    _forget(gains, count)
    return target, partner, score, visits


@kept()
def _no_gains(count: int) -> Gains:
    return Gains(
        np.zeros(count),
        np.zeros(count, np.bool_),
        np.empty(count, np.int64),
        np.zeros(count),
        np.empty(count, np.int64),
    )


@kept()
def improve(
    core: IntArray, share: Array, time: Array, group: IntArray, groups: int, most: float,
    links: Links, count: int, sweeps: int, most_visits: int,
) -> float:  # fmt: skip
    """Improve core [sources] in place, -1 for those of the host; returns the messages saved."""
    pieces, resources = share.shape
    cores = Cores(
        share, time, group, np.zeros((count, group.max() + 1 if pieces else 1), np.int32),
        np.zeros(count, np.int64), np.zeros((count, resources)), np.zeros(count),
        np.full(count, -1), np.full(pieces, -1), np.full(pieces, -1),
    )  # fmt: skip
    for p in range(pieces):
        _enter(p, core[p], cores)
    gains, other, best = _no_gains(count), _no_gains(count), np.empty(CORES_TRIED, np.int64)
    saved, visits = 0.0, 0
    for _ in range(sweeps):
        start = saved
        for p in range(pieces):
            if visits > most_visits:  # flows and not seconds: equal results on every machine
                break
            a = core[p]
            core[p] = -1
            target, partner, score, more = _where(
                p, a, most, groups, core, links, cores, gains, other, best
            )
            visits += more
            core[p] = a
            if target >= 0:
                saved += score
                core[p] = target
                _leave(p, a, cores)
                _enter(p, target, cores)
                if partner >= 0:
                    core[partner] = a
                    _leave(partner, target, cores)
                    _enter(partner, a, cores)
        if saved - start <= WORTHWHILE * saved:
            break
    return saved
