"""Which layers lose accuracy: each at few bits, alone, all others at their full bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from .judge import Judge

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sensitivity:
    """One layer at `bits`.

    lost    share of the samples that are no longer right (below 0: more are)
    error   what the read-out's relative squared error grows by
    saved   bits of synaptic memory that it saves
    """

    population: str
    bits: int
    lost: float
    error: float
    saved: int

    def as_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return asdict(self)


def sensitivity(
    judge: Judge, bits: int, progress: Progress = lambda done, total: None
) -> list[Sensitivity]:
    """All layers, the most sensitive first: by accuracy lost, then by the read-out's error."""
    layers = judge.layers()
    full = judge.score({})
    found: list[Sensitivity] = []
    for done, name in enumerate(layers):
        s = judge.score({name: bits})
        lost = (full.right - s.right) / len(judge.y)
        found.append(Sensitivity(name, bits, lost, s.error - full.error, full.memory - s.memory))
        progress(done + 1, len(layers))
    return sorted(found, key=lambda s: (-s.lost, -s.error))
