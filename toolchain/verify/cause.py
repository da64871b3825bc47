"""What made one value: everything that reached a neuron at one step, and its state before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...backends.base import Stream
from ..ground.arith import scale_exponent
from ..ir.program import Population, Program
from .rows import rows

SHOWN = 8
"""Synapses of one projection that are written out; the rest are counted."""


@dataclass(frozen=True)
class Arrival:
    """What one projection brought: value * weight of every pre neuron that had sent something.

    total = sum of value * weight, shifted by the projection's exponent
    """

    projection: str
    pre: str
    port: str
    delay: int
    weight_exp: int
    terms: tuple[tuple[int, int, int], ...]
    total: int

    def __str__(self) -> str:
        shown = " + ".join(f"{v} x {w} (neuron {n})" for n, v, w in self.terms[:SHOWN])
        more = len(self.terms) - SHOWN
        what = shown + (f" + {more} more" if more > 0 else "") if self.terms else "no spike"
        shift = f", exponent {self.weight_exp}" if self.weight_exp else ""
        return (
            f"{self.total} at {self.port} from {self.pre} ({self.delay} steps ago{shift}): {what}"
        )


@dataclass(frozen=True)
class Cause:
    """The operands of one neuron's update at one hardware step.

    neuron_program  its constants, in words
    reset           u = v = 0 before this step, because a sample begins
    u, v            before the update; None for neurons without state
    """

    neuron_program: str
    reset: bool
    u: int | None
    v: int | None
    arrivals: tuple[Arrival, ...]

    def lines(self) -> Iterator[str]:
        """The cause in words, a fact a line."""
        yield self.neuron_program
        if self.u is not None:
            begin = " (reset: a sample begins)" if self.reset else ""
            yield f"before: u = {self.u}, v = {self.v}{begin}"
        yield from map(str, self.arrivals)
        for port in dict.fromkeys(a.port for a in self.arrivals):
            yield f"{port} = {sum(a.total for a in self.arrivals if a.port == port)}"


def cause(
    program: Program,
    spikes: Stream,
    population: str,
    neuron: int,
    step: int,
    alone: Stream,
    label: str,
) -> Cause | None:
    """The operands of `neuron` (flat index) of `population` at hardware step `step`.

    spikes  the reference's record of the whole net
    alone   a record with u and v of this neuron's sub-net, where it is neuron 0 of `label`
    None for what the host drives: inputs and clocks have no operands.
    """
    p = program[population]
    if p.neuron.driven:
        return None
    reset = p.stateful and step >= p.phase and (step - p.phase) % program.timesteps == 0
    u = v = None
    if p.neuron.recorded:
        fresh = reset or step == 0
        u = 0 if fresh else int(alone.u[label][step - 1].ravel()[0])
        v = 0 if fresh else int(alone.v[label][step - 1].ravel()[0])
    arrivals = tuple(_arrivals(program, spikes, p, neuron, step))
    return Cause(p.neuron.constants(p.shape, neuron), reset, u, v, arrivals)


def _arrivals(
    program: Program, spikes: Stream, p: Population, neuron: int, step: int
) -> Iterator[Arrival]:
    wanted = np.array([neuron], dtype=np.int64)
    for j in program.incoming[p.name]:
        pre = program[j.pre]
        row = rows(j, wanted, pre.size, p.size)
        sent = np.zeros(pre.size, dtype=np.int64)
        if step >= j.delay:
            sent = spikes.spikes[j.pre][step - j.delay].reshape(-1)
        values = sent[row.indices] if pre.graded else (sent[row.indices] != 0).astype(np.int64)
        terms = tuple(
            (int(n), int(v), int(w))
            for n, v, w in zip(row.indices, values, row.data, strict=True)
            if v
        )
        total = _scaled(int(values @ row.data), j.weight_exp)
        yield Arrival(j.name, j.pre, j.port, j.delay, j.weight_exp, terms, total)


def _scaled(value: int, exponent: int) -> int:
    return int(scale_exponent(np.array(value, dtype=np.int64), exponent))
