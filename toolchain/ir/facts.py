"""What the compiler knows of a Program: which populations together are one thing.

A fact names populations and projections and holds no number: a Program computes the same with and
without its facts. They are written where the thing is built (`compiler/quantize`), kept in the
bundle, and checked with the Program (`check_facts`), so that whoever reads one may rely on it.
Names of projections stay what they are when delays are balanced, also where a relay then stands
between the two populations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """Something that holds of a Program."""


@dataclass(frozen=True)
class Coincidence(Fact):
    """`population` sends the product of two operands: of two spikes, it fires iff both do (AND).

    a, b  the two projections that bring the operands, along labelled axes and at the same step
    """

    population: str
    a: str
    b: str


@dataclass(frozen=True)
class Accumulator(Fact):
    """A sum over the steps of a sample, or of a group of them, and what clears it for the next.

    M[t] = M[t-1] + a[t] - C[t-1] and C[t] = M[t] where the clock ticks, else 0: M is `memory`, C is
    `clear`, a is what both receive from others. After a tick M starts at 0 again, whatever it held.
    tick  the projection that brings the clock
    """

    memory: str
    clear: str
    tick: str


@dataclass(frozen=True)
class SampleTotal(Fact):
    """`population` receives what `of` sends at a sample's last step at other steps of the sample.

    reads  the projections from `of` or its relays, with lags from -(T-1) to 0: `of` is silent but
           at the last step, so at any step at most one of these lags delivers. The same of groups
           of steps, where the clock that gates `of` marks those
    """

    population: str
    of: str
    reads: tuple[str, ...]


@dataclass(frozen=True)
class Cell(Fact):
    """A neuron of the model that is several populations: `population` is the one others read.

    gather  sums what arrives from other neurons; "" if each population receives it itself
    silent  send nothing at a sample's last step, so that what they send back one step later never
            reaches the next sample
    """

    population: str
    gather: str
    silent: tuple[str, ...]

    @property
    def parts(self) -> tuple[str, ...]:
        """The populations that are there for `population`."""
        return tuple(n for n in (self.gather, *self.silent) if n not in ("", self.population))


Facts = tuple[Fact, ...]


def in_order(facts: Iterable[Fact]) -> Facts:
    """The order in which a Program keeps its facts, however they were found: kind, then names."""
    return tuple(sorted(facts, key=lambda f: (type(f).__name__, repr(f))))


def part_of(facts: Iterable[Fact]) -> dict[str, str]:
    """Population -> the one that it is there for; those that stand for themselves are left out."""
    given = tuple(facts)
    above: dict[str, str] = {}
    for f in given:
        if isinstance(f, Cell):
            above |= dict.fromkeys(f.parts, f.population)
        elif isinstance(f, Accumulator):
            above[f.clear] = f.memory
    for f in given:
        if isinstance(f, SampleTotal) and f.of in above:
            above[above[f.of]] = f.population
    return {name: _top(above, name) for name in above}


def _top(above: Mapping[str, str], name: str) -> str:
    seen = {name}
    while name in above and above[name] not in seen:
        name = above[name]
        seen.add(name)
    return name
