"""Compare two hardware-step records of one Program, value by value, and count what was compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import numpy as np

from ..ground.arith import IntArray
from ..ground.errors import BackendError
from ..ir.digest import digest
from ..ir.program import Program


class Record(Protocol):
    """What a backend's stream returns: arrays [H, *shape] by population name."""

    @property
    def samples(self) -> int:
        """Samples that were streamed."""
        ...

    @property
    def spikes(self) -> Mapping[str, IntArray]:
        """What left each population at each hardware step."""
        ...

    @property
    def u(self) -> Mapping[str, IntArray]:
        """Currents of LIF populations after each step."""
        ...

    @property
    def v(self) -> Mapping[str, IntArray]:
        """Membranes of LIF populations after each step and reset."""
        ...


@dataclass(frozen=True)
class Mismatch:
    """One differing value. `neuron` is the flat index; `step` the hardware step from 0.

    sample, model_step: the same moment in model time; None before the population's phase.
    """

    population: str
    quantity: str
    step: int
    sample: int | None
    model_step: int | None
    neuron: int
    expected: int
    got: int

    def __str__(self) -> str:
        when = f"step {self.step}"
        if self.sample is not None:
            when += f" (sample {self.sample}, model step {self.model_step})"
        return (
            f"{self.population}: {self.quantity} of neuron {self.neuron} at {when}: "
            f"expected {self.expected}, got {self.got}"
        )


@dataclass(frozen=True)
class PopulationVerdict:
    """Values compared and differing in one population, and the spikes it sent in the reference.

    neurons   how many it has;  covered  those that were compared
    left      values outside of its measured range that those sent, in the reference and in the
              witness; None where its range is proved
    """

    population: str
    compared: int
    mismatches: int
    spikes: int
    neurons: int
    covered: int
    left: int | None = None
    left_witness: int | None = None


@dataclass(frozen=True)
class Verdict:
    """The outcome of a comparison; `silent` names the populations that never fired."""

    against: str
    mode: str
    states: bool
    samples: int
    steps: int
    populations: tuple[PopulationVerdict, ...]
    first_mismatch: Mismatch | None
    cause: tuple[str, ...] = ()
    """What made the expected value of the first mismatch, in words."""
    program: str = ""
    """The digest of the Program, see `sfx.toolchain.ir.digest`."""
    witness: str | None = None
    """That of the other Program, where the witness was handed one on purpose."""

    @property
    def compared(self) -> int:
        """Values compared: spikes, and u and v where states were recorded."""
        return sum(p.compared for p in self.populations)

    @property
    def neurons(self) -> int:
        """Neurons of the Program."""
        return sum(p.neurons for p in self.populations)

    @property
    def covered(self) -> int:
        """Neurons compared at every step: fewer than `neurons` only if a sample was asked for."""
        return sum(p.covered for p in self.populations)

    @property
    def mismatches(self) -> int:
        """Values that differ."""
        return sum(p.mismatches for p in self.populations)

    @property
    def equal(self) -> bool:
        """True if nothing differs and something was compared."""
        return self.mismatches == 0 and self.compared > 0

    @property
    def left(self) -> dict[str, int]:
        """By population of a measured range: values outside of it, in the reference."""
        return {p.population: p.left for p in self.populations if p.left is not None}

    @property
    def left_witness(self) -> dict[str, int]:
        """The same in the witness."""
        return {
            p.population: p.left_witness for p in self.populations if p.left_witness is not None
        }

    @property
    def silent(self) -> tuple[str, ...]:
        """Populations without a spike: there the comparison says nothing about spikes."""
        return tuple(p.population for p in self.populations if p.spikes == 0)

    def as_dict(self) -> dict[str, object]:
        """The documented JSON keys of `sfx verify --json`."""
        return {
            "equal": self.equal,
            "program": self.program,
            "witness": self.witness,
            "against": self.against,
            "mode": self.mode,
            "states": self.states,
            "samples": self.samples,
            "populations": len(self.populations),
            "steps": self.steps,
            "compared": self.compared,
            "neurons": self.neurons,
            "covered": self.covered,
            "spikes": sum(p.spikes for p in self.populations),
            "mismatches": self.mismatches,
            "silent": list(self.silent),
            "left_range": self.left,
            "left_range_witness": self.left_witness,
            "first_mismatch": None if self.first_mismatch is None else asdict(self.first_mismatch),
            "cause": list(self.cause),
            "per_population": [asdict(p) for p in self.populations],
        }


def compare(
    program: Program,
    expected: Record,
    got: Record,
    *,
    against: str,
    mode: str,
    states: bool,
    samples: int,
) -> Verdict:
    """Every population, hardware step and neuron: spikes, and with `states` u and v of LIFs.

    Raises BackendError (SFX-E701) if a record lacks a population or has another length, because
    a comparison that skips something must not say equal.
    """
    parts = [
        compare_population(program, population.name, expected, got, states=states)
        for population in program
    ]
    steps = len(next(iter(expected.spikes.values())))
    return verdict(program, parts, against, mode, states, samples, steps)


Part = tuple[PopulationVerdict, Mismatch | None]
"""What was found in a population, or in some of its neurons."""
QUANTITIES = ("spikes", "u", "v")


def compare_population(
    program: Program,
    name: str,
    expected: Record,
    got: Record,
    *,
    states: bool,
    neurons: IntArray | None = None,
    label: str = "",
) -> Part:
    """One population; with `neurons` (flat indices) only these, in that order in `got`.

    label: what `got` calls the population, if not by its name. Raises as `compare`.
    """
    population = program[name]
    quantities = QUANTITIES if states and population.neuron.recorded else QUANTITIES[:1]
    compared = mismatches = 0
    found: Mismatch | None = None
    for quantity in quantities:
        a = _values(expected, quantity, name)
        b = _values(got, quantity, label or name)
        if neurons is not None:
            a = a[:, neurons]
        if a.shape != b.shape:
            raise BackendError(
                "SFX-E701",
                f"records of {quantity} have shapes {a.shape} and {b.shape}",
                where=name,
            )
        compared += a.size
        wrong = a != b
        count = int(np.count_nonzero(wrong))
        mismatches += count
        if count:
            first = _first(program, name, quantity, a, b, wrong)
            if neurons is not None:
                first = replace(first, neuron=int(neurons[first.neuron]))
            found = first if found is None or first.step < found.step else found
    spikes = _values(expected, "spikes", name)
    if neurons is not None:
        spikes = spikes[:, neurons]
    count = int(np.count_nonzero(spikes))
    covered = population.size if neurons is None else len(neurons)
    left = left_witness = None
    if population.counted:
        begin = population.phase
        steps = slice(begin, begin + expected.samples * program.timesteps)
        left = population.left(spikes[steps])
        left_witness = population.left(_values(got, "spikes", label or name)[steps])
    part = PopulationVerdict(
        name, compared, mismatches, count, population.size, covered, left, left_witness
    )
    return part, found


def verdict(
    program: Program,
    parts: Iterable[Part],
    against: str,
    mode: str,
    states: bool,
    samples: int,
    steps: int,
) -> Verdict:
    """The parts of each population added up, and the earliest difference."""
    sums: dict[str, PopulationVerdict] = {}
    found: list[tuple[int, int, int, int, Mismatch]] = []
    order = {p.name: i for i, p in enumerate(program)}
    for part, first in parts:
        so_far = sums.get(part.population)
        sums[part.population] = part if so_far is None else _sum(so_far, part)
        if first is not None:
            rank = QUANTITIES.index(first.quantity)
            found.append((first.step, order[first.population], rank, first.neuron, first))
    first_mismatch = min(found, key=lambda f: f[:4])[4] if found else None
    populations = tuple(sums[p.name] for p in program)
    return Verdict(
        against,
        mode,
        states,
        samples,
        steps,
        populations,
        first_mismatch,
        program=digest(program),
    )


def _sum(a: PopulationVerdict, b: PopulationVerdict) -> PopulationVerdict:
    return replace(
        a,
        compared=a.compared + b.compared,
        mismatches=a.mismatches + b.mismatches,
        spikes=a.spikes + b.spikes,
        covered=a.covered + b.covered,
        left=_both(a.left, b.left),
        left_witness=_both(a.left_witness, b.left_witness),
    )


def _both(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def _values(record: Record, quantity: str, name: str) -> IntArray:
    values: Mapping[str, IntArray] = getattr(record, quantity)
    if name not in values:
        raise BackendError("SFX-E701", f"no record of {quantity}", where=name)
    array = np.asarray(values[name])
    return array.reshape(len(array), -1)


def _first(
    program: Program, name: str, quantity: str, a: IntArray, b: IntArray, wrong: IntArray
) -> Mismatch:
    step = int(np.argmax(wrong.any(axis=1)))
    neuron = int(np.argmax(wrong[step]))
    tau = step - program[name].phase
    sample, model_step = divmod(tau, program.timesteps) if tau >= 0 else (None, None)
    return Mismatch(
        name, quantity, step, sample, model_step, neuron, int(a[step, neuron]), int(b[step, neuron])
    )
