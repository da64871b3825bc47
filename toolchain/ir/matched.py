"""Spikes of the integers beside the float model's, as counts.

Neurons and steps where both are silent prove nothing, so they are not counted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

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
        return silent_side(bool(self.hits + self.missed), bool(self.hits + self.extra))


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


def silent_side(real_fires: bool, ours_fire: bool) -> str:
    """Which of the two never fires: 'float', 'integers', 'both' or ''."""
    if real_fires and ours_fire:
        return ""
    if real_fires or ours_fire:
        return INTEGERS if real_fires else FLOAT
    return NEITHER_FIRES
