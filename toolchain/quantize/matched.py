"""Integer spikes beside the float model's. Neurons and steps where both are silent prove nothing,
so they are not counted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfx.toolchain.quantize.values import Coincidences, Values

NEITHER_FIRES, FLOAT, INTEGERS = "both", "float", "integers"


@dataclass(frozen=True)
class Matched:
    """Spikes of one population, counted over samples, steps and neurons.

    hits     both the float model and the integers fire
    missed   only the float model does
    extra    only the integers do
    """

    hits: int
    missed: int
    extra: int

    @property
    def precision(self) -> float | None:
        """Share of the integer spikes that the float model fires too; None without any."""
        return self.hits / (self.hits + self.extra) if self.hits + self.extra else None

    @property
    def recall(self) -> float | None:
        """Share of the float spikes that the integers fire too; None without any."""
        return self.hits / (self.hits + self.missed) if self.hits + self.missed else None

    @property
    def wrong(self) -> float | None:
        """Missed and extra spikes per float spike; None without any."""
        fired = self.hits + self.missed
        return (self.missed + self.extra) / fired if fired else None

    @property
    def silent(self) -> str:
        """Which of the two never fires: 'float', 'integers', 'both' or ''."""
        return _silent(bool(self.hits + self.missed), bool(self.hits + self.extra))


@dataclass(frozen=True)
class Silence:
    """A spiking population that never fires on the calibration data.

    where   'float', 'integers' or 'both'
    """

    population: str
    where: str

    def as_dict(self) -> dict[str, str]:
        """Plain values for JSON."""
        return asdict(self)


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
    where = _silent(_fires(target), _fires(sent))
    return Silence(population, where) if where else None


def _silent(real_fires: bool, ours_fire: bool) -> str:
    if real_fires and ours_fire:
        return ""
    if real_fires or ours_fire:
        return INTEGERS if real_fires else FLOAT
    return NEITHER_FIRES


def _fires(x: Values) -> bool:
    """Whether anything is sent; coincidences one step after the other, they are wide."""
    if not isinstance(x, Coincidences):
        return bool(x.any())
    if not (x.a.any() and x.b.any()):
        return False
    samples, steps = x.a.shape[:2]
    return any((x.a[k, t] * x.b[k, t]).any() for k in range(samples) for t in range(steps))
