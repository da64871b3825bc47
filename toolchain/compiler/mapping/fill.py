"""The loop of packing: every piece, in order, onto the best core that has space for it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ground.machine_code import kept

Array = NDArray[np.float64]
SLACK = 1e-9
FULL = 1 - 1e-3
TOGETHER = 1e-3
"""What it is worth to join a piece of the same population: it breaks ties."""


@kept()
def fill(
    order: IntArray,
    share: Array,
    time: Array,
    light: NDArray[np.bool_],
    group: IntArray,
    most_groups: int,
    busy_already: float,
    cores: int,
) -> IntArray:
    """The core of each piece; opens cores beyond the first `cores` where none has space.

    A light piece goes to the fullest core, and the idler the better (a core counts as idle below
    time 1; `busy_already` 1: idleness is worth nothing). Others go to the idlest core. No core
    holds pieces of more than `most_groups` populations.
    """
    pieces, resources = share.shape
    most = pieces + cores
    load, spent = np.zeros((most, resources)), np.full(most, busy_already)
    last = np.full(most, -1)
    held = np.full((most, most_groups), -1)
    kinds = np.zeros(most, np.int64)
    core = np.full(pieces, -1)
    first, used = 0, cores
    for i in order:
        best, score = -1, -1e300
        for b in range(first, used):
            fits, full = True, 0.0
            for r in range(resources):
                if load[b, r] + share[i, r] > 1 + SLACK:
                    fits = False
                    break
                full = max(full, load[b, r])
            if fits and kinds[b] == most_groups and last[b] != group[i]:
                fits = False
                for k in range(most_groups):
                    fits = fits or held[b, k] == group[i]
            if not fits:
                continue
            if light[i]:
                worth = full + max(0.0, 1 - spent[b])
            else:
                worth = -spent[b]
            if last[b] == group[i]:
                worth += TOGETHER
            if worth > score:
                best, score = b, worth
        if best < 0:
            best, used = used, used + 1
        core[i] = best
        spent[best] += time[i]
        last[best] = group[i]
        known = False
        for k in range(kinds[best]):
            known = known or held[best, k] == group[i]
        if not known:
            held[best, kinds[best]] = group[i]
            kinds[best] += 1
        for r in range(resources):
            load[best, r] += share[i, r]
        while first < used and load[first, 0] >= FULL:
            first += 1
    return core
