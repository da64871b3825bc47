"""The rounding search: step a mantissa up or down wherever that makes fewer wrong spikes.

Channels of a layer do not see each other, so each is searched alone: over its weights, the most
active inputs first, and over its bias, until a sweep changes nothing. A lane is one neuron in one
sample; only lanes whose input is active need to be run again for a change. float64, not the
integers: the search chooses, the integers are counted afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....ground.arith import IntArray
from ....ground.machine_code import kept
from ....ir.graph import FloatArray

BIAS_STEPS = (0.04, -0.04, 0.02, -0.02, 0.01, -0.01)
"""Changes of a bias that are tried, in thresholds."""


@dataclass(frozen=True, eq=False)
class Flipped:
    """Mantissas q [O, F], what to add to the biases [O], what is still wrong [O]; the changes."""

    q: IntArray
    shift: FloatArray
    wrong: IntArray
    changes: int


@kept(nogil=True)
def _wrong(current: Any, target: Any, keep: float, threshold: float) -> int:
    """What is wrong in one lane: v <- keep * v + current, spike above the threshold, then 0.

    Every step weighs |target|; a spike is wanted where target > 0.
    """
    v, wrong = 0.0, 0
    for t in range(len(current)):
        v = v * keep + current[t]
        fires = v > threshold
        if fires:
            v = 0.0
        if fires != (target[t] > 0):
            wrong += abs(target[t])
    return wrong


@kept(nogil=True)
def search(
    x: Any,
    starts: Any,
    lanes: Any,
    target: Any,
    current: Any,
    q: Any,
    present: Any,
    unit: Any,
    shift: Any,
    order: Any,
    steps: Any,
    keep: float,
    threshold: float,
    low: int,
    high: int,
    step: int,
    sweeps: int,
    left: Any,
) -> int:
    """Changes q [O, F], shift [O] and current [O, L, T] in place; returns the changes made.

    x [F, L, T] inputs; lanes[starts[j]:starts[j+1]] those in which input j is active; target
    [O, L, T] weight of each step, above 0 where a spike is wanted; present [O, F] False where there
    is no synapse; left [O] what is wrong at the
    end; unit [O] real weight of mantissa 1; steps: bias changes to try.
    """
    outs = len(q)
    count, timesteps = target.shape[1], target.shape[2]
    changes = 0
    trial = np.empty(timesteps)
    wrong = np.empty(count, np.int64)
    for o in range(outs):
        for lane in range(count):
            wrong[lane] = _wrong(current[o, lane], target[o, lane], keep, threshold)
        for _ in range(sweeps):
            before = changes
            for b in steps:
                total, least = 0, wrong.sum()
                for lane in range(count):
                    for t in range(timesteps):
                        trial[t] = current[o, lane, t] + b
                    total += _wrong(trial, target[o, lane], keep, threshold)
                    if total >= least:
                        break
                if total < least:
                    changes += 1
                    shift[o] += b
                    for lane in range(count):
                        for t in range(timesteps):
                            current[o, lane, t] += b
                        wrong[lane] = _wrong(current[o, lane], target[o, lane], keep, threshold)
            for j in order:
                if not present[o, j]:
                    continue
                least = 0
                for k in range(starts[j], starts[j + 1]):
                    least += wrong[lanes[k]]
                best = 0
                for move in (-step, step):
                    if not low <= q[o, j] + move <= high:
                        continue
                    change, total = move * unit[o], 0
                    for k in range(starts[j], starts[j + 1]):
                        lane = lanes[k]
                        for t in range(timesteps):
                            trial[t] = current[o, lane, t] + change * x[j, lane, t]
                        total += _wrong(trial, target[o, lane], keep, threshold)
                        if total >= least:
                            break
                    if total < least:
                        least, best = total, move
                if best != 0:
                    changes += 1
                    q[o, j] += best
                    change = best * unit[o]
                    for k in range(starts[j], starts[j + 1]):
                        lane = lanes[k]
                        for t in range(timesteps):
                            current[o, lane, t] += change * x[j, lane, t]
                        wrong[lane] = _wrong(current[o, lane], target[o, lane], keep, threshold)
            if changes == before:
                break
        left[o] = wrong.sum()
    return changes


def active(x: IntArray) -> tuple[IntArray, IntArray]:
    """(starts [F+1], lanes): where each input of x [F, L, T] is not silent."""
    on = x.any(axis=2)
    starts = np.concatenate([[0], np.cumsum(on.sum(axis=1))]).astype(np.int64)
    return starts, np.nonzero(on)[1].astype(np.int64)


def flip(
    x: IntArray,
    target: NDArray[np.integer[Any]],
    current: FloatArray,
    q: IntArray,
    present: NDArray[np.bool_],
    unit: FloatArray,
    grid: tuple[int, int, int],
    keep: float,
    threshold: float,
    sweeps: int,
) -> Flipped:
    """Better mantissas, found from q [O, F].

    present: where there is a synapse [O, F]; grid: lowest and highest mantissa and the step.
    `current` [O, L, T] belongs to q.
    """
    found, shift, wrong = q.copy(), np.zeros(len(q)), np.zeros(len(q), np.int64)
    starts, lanes = active(x)
    order = np.argsort(-np.diff(starts), kind="stable")
    changes = search(
        x,
        starts,
        lanes,
        target,
        current.copy(),
        found,
        present,
        unit,
        shift,
        order,
        np.array(BIAS_STEPS) * threshold,
        keep,
        threshold,
        *grid,
        sweeps,
        wrong,
    )
    return Flipped(found, shift, wrong, int(changes))
