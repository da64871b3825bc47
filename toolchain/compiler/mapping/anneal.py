"""Simulated annealing of cores on a mesh: swaps that bring cores that exchange messages closer.

A core is drawn towards the weighted middle of the cores it exchanges messages with, or to a near
slot; the swap is kept if it shortens the routes, or now and then while the temperature is high.
Seeded: equal inputs give equal placements.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ground.machine_code import kept

Array = NDArray[np.float64]


@kept()
def _draw(state: NDArray[np.uint64]) -> float:
    """A number in [0, 1) by xorshift64*: the same on every machine."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) / 9007199254740992.0


@kept()
def _change(
    a: int,
    b: int,
    slot_a: int,
    slot_b: int,
    indptr: IntArray,
    indices: IntArray,
    weights: Array,
    x: Array,
    y: Array,
    slot_of: IntArray,
) -> float:
    """Change of the total when core `a` moves from slot_a to slot_b (its partner b is left out)."""
    total = 0.0
    for e in range(indptr[a], indptr[a + 1]):
        other = indices[e]
        if other == b:
            continue
        at = slot_of[other]
        after = abs(x[slot_b] - x[at]) + abs(y[slot_b] - y[at])
        before = abs(x[slot_a] - x[at]) + abs(y[slot_a] - y[at])
        total += weights[e] * (after - before)
    return total


@kept()
def anneal(
    indptr: IntArray,
    indices: IntArray,
    weights: Array,
    x: Array,
    y: Array,
    slot_of: IntArray,
    movable: int,
    nearest: IntArray,
    grid: Array,
    moves: int,
    seed: int,
) -> None:
    """Improve slot_of [nodes] in place.

    indptr, indices, weights  symmetric traffic in compressed rows; nodes from `movable` on (the
            host) stay where they are
    x, y    [slots] coordinates, chip borders counted as extra length
    nearest [rows, columns, few] slots at each router of the whole system, -1 where there is none
    grid    [2, longest] stretched coordinate of each router column (0) and row (1)
    """
    state = np.array([2 * seed + 1], dtype=np.uint64)
    for _ in range(16):  # small seeds have few bits set, and so have the first numbers drawn
        _draw(state)
    slots = x.size
    core_at = np.full(slots, -1, dtype=np.int64)
    for c in range(slot_of.size):
        if c < movable:
            core_at[slot_of[c]] = c
    rows, columns, few = nearest.shape
    scale = 0.0
    for e in range(weights.size):
        scale += weights[e]
    # scale / movable is what a core exchanges on average. The heat begins at half a hop of all that
    # traffic, so that such a detour is often taken, and ends a thousand times lower, where none is.
    heat = 2.0 * scale / max(1, movable) / 4.0
    cooling = np.exp(np.log(1e-3) / max(1, moves))
    for _ in range(moves):
        heat *= cooling
        a = int(_draw(state) * movable)
        here = slot_of[a]
        total, mx, my = 0.0, 0.0, 0.0
        for e in range(indptr[a], indptr[a + 1]):
            at = slot_of[indices[e]]
            total += weights[e]
            mx += weights[e] * x[at]
            my += weights[e] * y[at]
        # Aimed at its middle alone, a core would be tried at the same few slots again and again:
        # three moves in ten start from where it is.
        if total == 0.0 or _draw(state) < 0.3:
            mx, my = x[here], y[here]
        else:
            mx, my = mx / total, my / total
        column = int(np.searchsorted(grid[0, :columns], mx)) + int(_draw(state) * 5) - 2
        row = int(np.searchsorted(grid[1, :rows], my)) + int(_draw(state) * 5) - 2
        column = min(max(column, 0), columns - 1)
        row = min(max(row, 0), rows - 1)
        there = nearest[row, column, int(_draw(state) * few)]
        if there < 0 or there == here:  # the last row of chips may be incomplete
            continue
        b = core_at[there]
        gain = _change(a, b, here, there, indptr, indices, weights, x, y, slot_of)
        if b >= 0:
            # each leaves the other out: the way between a and b stays as long when they swap
            gain += _change(b, a, there, here, indptr, indices, weights, x, y, slot_of)
        if gain <= 0.0 or _draw(state) < np.exp(-gain / heat):
            slot_of[a] = there
            core_at[there] = a
            core_at[here] = b
            if b >= 0:
                slot_of[b] = here
