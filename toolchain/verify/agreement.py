"""How far the integer Program does what the torch model did: spikes of every population, answers.

Where nothing was rounded the two are equal, else they agree to a degree: precision is the share of
the Program's spikes that torch has too, recall the share of torch's that the Program has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ground.arith import IntArray


@dataclass(frozen=True)
class PopulationAgreement:
    """Counts of one population over all samples, steps and neurons.

    torch, program  spikes of each;  both  of them at the same neuron, step and sample
    differ          values that are not the same
    """

    population: str
    compared: int
    torch: int
    program: int
    both: int
    differ: int

    @property
    def precision(self) -> float | None:
        """Share of the Program's spikes that torch has; None without any."""
        return self.both / self.program if self.program else None

    @property
    def recall(self) -> float | None:
        """Share of torch's spikes that the Program has; None without any."""
        return self.both / self.torch if self.torch else None

    def __add__(self, other: PopulationAgreement) -> PopulationAgreement:
        return PopulationAgreement(
            self.population,
            self.compared + other.compared,
            self.torch + other.torch,
            self.program + other.program,
            self.both + other.both,
            self.differ + other.differ,
        )


@dataclass(frozen=True)
class Agreement:
    """The Program beside the torch model.

    lossless  nothing was rounded, so a single difference is an error
    answers   samples with the same largest output; None where torch's output has another form
    missing   populations that could not be compared, and why
    """

    samples: int
    lossless: bool
    populations: tuple[PopulationAgreement, ...]
    answers: int | None
    missing: tuple[str, ...] = ()

    @property
    def compared(self) -> int:
        """Values compared."""
        return sum(p.compared for p in self.populations)

    @property
    def mismatches(self) -> int:
        """Values that differ."""
        return sum(p.differ for p in self.populations)

    @property
    def equal(self) -> bool:
        """True if nothing differs and something was compared."""
        return self.compared > 0 and self.mismatches == 0 and self.answers in (None, self.samples)

    @property
    def passed(self) -> bool:
        """Equal, or not to be expected equal."""
        return self.equal or (self.compared > 0 and not self.lossless)

    @property
    def silent(self) -> tuple[str, ...]:
        """Populations without a spike in torch: there the comparison says nothing about spikes."""
        return tuple(p.population for p in self.populations if not p.torch)

    def as_dict(self) -> dict[str, Any]:
        """The documented JSON keys of `sfx verify --against torch --json`."""
        return {
            "against": "torch",
            "equal": self.equal,
            "lossless": self.lossless,
            "samples": self.samples,
            "compared": self.compared,
            "mismatches": self.mismatches,
            "spikes": sum(p.torch for p in self.populations),
            "answers": self.answers,
            "silent": list(self.silent),
            "missing": list(self.missing),
            "per_population": [
                asdict(p) | {"precision": p.precision, "recall": p.recall} for p in self.populations
            ],
        }


def agree(name: str, torchs: NDArray[Any], programs: IntArray) -> PopulationAgreement:
    """One population on one sample, both [T, *shape]."""
    a, b = torchs != 0, programs != 0
    counts = (int(np.count_nonzero(m)) for m in (a, b, a & b, torchs != programs))
    return PopulationAgreement(name, a.size, *counts)


def summed(parts: Iterable[PopulationAgreement]) -> tuple[PopulationAgreement, ...]:
    """One entry for each population, in the order of their first."""
    found: dict[str, PopulationAgreement] = {}
    for part in parts:
        found[part.population] = found[part.population] + part if part.population in found else part
    return tuple(found.values())
