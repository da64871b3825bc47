"""What every backend offers and returns.

A backend executes a balanced `Program` exactly as it is. Data: integer events x [K, T, *input
shape], samples first. Two kinds of record:

* `Stream`: the raw hardware-step record of K samples streamed back to back, from step 0 to
  K*T + last_phase - 1, fill and drain included. Traces that verify compares.
* `Result`: what a run needs: predictions, read-out, event counts for the cost model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..toolchain.ground.arith import IntArray
from ..toolchain.ir.program import Program

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass(frozen=True, eq=False)
class Stream:
    """spikes[name] [H, *shape]; u, v likewise for LIF populations if states were recorded.

    Spikes are what leaves the population at that hardware step; u and v are read at its end, after
    the reset.
    """

    samples: int
    spikes: Mapping[str, IntArray]
    u: Mapping[str, IntArray] = field(default_factory=dict)
    v: Mapping[str, IntArray] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Hardware steps recorded."""
        return next(iter(self.spikes.values())).shape[0]


@dataclass(frozen=True, eq=False)
class Counts:
    """Event counts, summed over `samples`: per population [T, *shape] int64, by model step.

    events  nonzero values sent;  active  neurons with input or a nonzero state to update
    """

    samples: int
    events: Mapping[str, IntArray]
    active: Mapping[str, IntArray]

    def plus(self, other: Counts) -> Counts:
        """The counts of both."""
        return Counts(
            self.samples + other.samples,
            {k: v + other.events[k] for k, v in self.events.items()},
            {k: v + other.active[k] for k, v in self.active.items()},
        )


@dataclass(frozen=True, eq=False)
class Result:
    """sums [K, classes]: output spikes summed over T plus the read-out's offset (integers).

    left  by population of a measured range: values that it sent outside of it (semantics 7.1)
    """

    backend: str
    sums: IntArray
    counts: Counts
    seconds: float
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def predictions(self) -> IntArray:
        """Index of the largest sum; the lower index where two are equal."""
        best: IntArray = np.argmax(self.sums, axis=1).astype(np.int64)
        return best


def joined(results: Sequence[Result]) -> Result:
    """Of one backend and one Program, in the order of the samples."""
    counts, left = results[0].counts, Counter(results[0].left)
    for r in results[1:]:
        counts = counts.plus(r.counts)
        left.update(r.left)
    sums = np.concatenate([r.sums for r in results])
    return Result(results[0].backend, sums, counts, sum(r.seconds for r in results), dict(left))


class Backend(Protocol):
    """What `run` and `verify` need of a backend."""

    @property
    def name(self) -> str:
        """What the command line calls it."""
        ...

    def stream(
        self,
        program: Program,
        x: IntArray,
        *,
        states: bool = False,
        progress: Progress | None = None,
    ) -> Stream:
        """Run K samples back to back through the pipelined Program and record every step."""
        ...

    def run(self, program: Program, x: IntArray, *, progress: Progress | None = None) -> Result:
        """Run K samples and return read-out and counts."""
        ...


def each_alone(one: Callable[[IntArray], Stream], x: IntArray) -> Stream:
    """The records of samples that are run by themselves, one after the other (`Program.apart`).

    one  runs one sample [1, T, *input shape] from the reset on, T steps; x [K, T, *input shape]
    """
    streams = [one(x[i : i + 1]) for i in range(len(x))]

    def joined(maps: list[Mapping[str, IntArray]]) -> dict[str, IntArray]:
        return {name: np.concatenate([m[name] for m in maps]) for name in maps[0]}

    spikes, u, v = (joined([getattr(s, k) for s in streams]) for k in ("spikes", "u", "v"))
    return Stream(len(x), spikes, u, v)


def align(record: IntArray, phase: int, samples: int, timesteps: int) -> IntArray:
    """Hardware-step record [H, *shape] -> model time [K, T, *shape]: h = k*T + t + phase."""
    body = record[phase : phase + samples * timesteps]
    return body.reshape(samples, timesteps, *record.shape[1:])


def left_ranges(program: Program, sent: Mapping[str, IntArray]) -> dict[str, int]:
    """By population of a measured range: how many of the values sent [...] lie outside of it."""
    return {p.name: p.left(sent[p.name]) for p in program if p.counted}


def lif_names(program: Program) -> list[str]:
    """Names of the LIF populations: those with u and v."""
    return [p.name for p in program.populations if p.neuron.recorded]
