"""What the cost model needs to know of a run: how often each neuron fired at each model step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ...ir.program import Clock, Program

Array = NDArray[np.float64]


class EventCounts(Protocol):
    """Event counts summed over `samples`: per population [T, *shape], by model step.

    events  nonzero values sent;  active  neurons with input or a nonzero state to update.
    What backends count (`backends.base.Counts`) has this form.
    """

    @property
    def samples(self) -> int:
        """Samples counted."""
        ...

    @property
    def events(self) -> Mapping[str, NDArray[np.int64]]:
        """Nonzero values sent."""
        ...

    @property
    def active(self) -> Mapping[str, NDArray[np.int64]]:
        """Neurons updated."""
        ...


@runtime_checkable
class Totals(Protocol):
    """Event counts that are summed without being made."""

    def total(self, name: str) -> int:
        """Sum over steps and neurons of a population's."""
        ...


def total(events: Mapping[str, NDArray[np.int64]], name: str) -> int:
    """Events of all steps and neurons of a population."""
    return events.total(name) if isinstance(events, Totals) else int(events[name].sum())


@dataclass(frozen=True, eq=False)
class Activity:
    """The mean of one sample: per population, events and active neurons [T, size]."""

    timesteps: int
    events: Mapping[str, Array]
    active: Mapping[str, Array]

    @classmethod
    def mean(cls, program: Program, counts: EventCounts) -> Activity:
        """The mean over the samples of `counts`.

        Populations without an `active` count are taken to update every neuron at every step,
        clocks without an event count to tick once, or at the end of every group.
        """
        t = program.timesteps
        events: dict[str, Array] = {}
        sizes = {p.name: p.size for p in program}
        for p in program:
            sent = counts.events.get(p.name)
            if sent is not None:
                events[p.name] = _mean(sent, counts.samples, t, p.size)
            elif isinstance(p.neuron, Clock):
                events[p.name] = np.zeros((t, p.size))
                every = p.neuron.period(t)
                events[p.name][every - 1 :: every] = 1.0
            else:
                raise ValueError(f"no event counts of population {p.name}")
        return cls(t, events, _Updated(counts, t, sizes))


class _Updated(Mapping[str, Array]):
    """Active neurons [T, size] of one sample, made when asked for and not kept: read once each."""

    def __init__(self, counts: EventCounts, timesteps: int, sizes: Mapping[str, int]) -> None:
        self._counts, self._timesteps, self._sizes = counts, timesteps, sizes

    def __getitem__(self, name: str) -> Array:
        size, updated = self._sizes[name], self._counts.active.get(name)
        if updated is None:
            return np.ones((self._timesteps, size))
        return _mean(updated, self._counts.samples, self._timesteps, size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._sizes)

    def __len__(self) -> int:
        return len(self._sizes)


def _mean(counts: NDArray[np.int64], samples: int, timesteps: int, size: int) -> Array:
    return np.asarray(counts, dtype=np.float64).reshape(timesteps, size) / samples
