"""Integer spikes beside the float model's. Neurons and steps where both are silent prove nothing,
so they are not counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....ir.matched import Matched, Silence, silent_side
from .values import Coincidences, Values


def matched(target: NDArray[Any], sent: NDArray[Any]) -> Matched:
    """`sent` beside `target`, spikes 0 or 1 [K, T, n]."""
    real, ours = target != 0, sent != 0
    hits = int(np.count_nonzero(real & ours))
    return Matched(hits, int(np.count_nonzero(real)) - hits, int(np.count_nonzero(ours)) - hits)


def fields_of(
    target: NDArray[Any], alone: NDArray[Any], sent: NDArray[Any]
) -> dict[str, float | int]:
    """What the record says of a population's spikes [K, T, n]: see `LayerRecord`.

    target: the float model's; alone: with this population alone in integers; sent: with every
    earlier one too.
    """
    ours, apart = matched(target, sent), matched(target, alone)
    fired = ours.hits + ours.missed
    return {
        "agreement": float(np.mean(alone == target)),
        "cumulative": float(np.mean(sent == target)),
        "rate": float(target.mean()),
        "wrong_spikes": (ours.missed + ours.extra) / max(fired, 1),
        "spikes": fired,
        "missed": ours.missed,
        "extra": ours.extra,
        "missed_alone": apart.missed,
        "extra_alone": apart.extra,
    }


def silence(population: str, target: Values, sent: Values) -> Silence | None:
    """What is silent of a population, or None if the float model and the integers both fire."""
    where = silent_side(_fires(target), _fires(sent))
    return Silence(population, where) if where else None


def _fires(x: Values) -> bool:
    """Whether anything is sent; coincidences one step after the other, they are wide."""
    if not isinstance(x, Coincidences):
        return bool(x.any())
    if not (x.a.any() and x.b.any()):
        return False
    samples, steps = x.a.shape[:2]
    return any((x.a[k, t] * x.b[k, t]).any() for k in range(samples) for t in range(steps))
