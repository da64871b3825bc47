"""Populations that send only at a sample's last step, as the clear of an accumulator does.

The total of a sample leaves the accumulator at its last step (semantics 6.3, built in
`compiler/quantize/cells/accumulator.py`). Projections with negative lags bring it to the earlier
steps, and of several of them with different lags at most one delivers at any step. Where a clock
ticks at the end of every group of steps, all this holds of groups as it does of samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd
from typing import NamedTuple

import numpy as np

from ..ground.arith import IntArray, scale_exponent
from .connections import matrix
from .program import Clock, Graded, Population, Product, Program, Projection, Structured


class Ends(NamedTuple):
    """Who sends only at the last of every so many steps of a sample.

    origin  the Product that a clock gates, of which this one is a relay or which it is
    """

    origin: str
    every: int


def clocked(program: Program, *, once: bool = False) -> set[str]:
    """Clocks and what reads nothing else: the same in every sample, at whatever step and size.

    once: of the clocks, those that tick once in a sample
    """
    out: set[str] = set()
    for p in program:
        drives = program.incoming[p.name]
        relayed = isinstance(p.neuron, Graded) and drives and all(j.pre in out for j in drives)
        if relayed or (isinstance(p.neuron, Clock) and not (once and p.neuron.every)):
            out.add(p.name)
    return out


def ticking(program: Program) -> Mapping[str, int]:
    """Clocks and relays that pass the tick on as it is: 1 at a sample's last step, else 0.

    name -> steps from tick to tick: less than T where it marks groups of steps.
    """
    out: dict[str, int] = {}
    for p in program:
        reads = program.incoming[p.name]
        relayed = p.neuron == Graded() and len(reads) == 1 and reads[0].pre in out
        if isinstance(p.neuron, Clock):
            out[p.name] = p.neuron.period(program.timesteps)
        elif relayed and _passes_on(reads[0]):
            out[p.name] = out[reads[0].pre]
    return out


def sample_ticks(program: Program) -> set[str]:
    """Those of `ticking` that tick at a sample's last step alone."""
    return {name for name, every in ticking(program).items() if every == program.timesteps}


def per_tick(program: Program, j: Projection) -> IntArray:
    """What one tick of j's pre adds to each neuron of its post [size]."""
    sums = matrix(j, program[j.pre].size, program[j.post].size).sum(axis=1)
    return scale_exponent(np.asarray(sums, np.int64).ravel(), j.weight_exp)


def clock_behind(program: Program, name: str) -> Population | None:
    """The clock whose tick `name` sends, being that clock or a relay of it; None for others."""
    p = program[name]
    while p.neuron == Graded():
        reads = program.incoming[p.name]
        if len(reads) != 1 or not _passes_on(reads[0]) or reads[0].pre == p.name:
            return None
        p = program[reads[0].pre]
    return p if isinstance(p.neuron, Clock) else None


def _passes_on(j: Projection) -> bool:
    """From one neuron to one neuron, with weight 1 and at the same step."""
    one = isinstance(j.connection, Structured) and j.connection.weight == 1
    return one and j.lag == j.weight_exp == 0


def once_per_sample(program: Program) -> Mapping[str, Ends]:
    """Products that a clock gates at the same step, and relays of them, by name.

    All neurons of a relay read one such population at the same step, so it is silent at the others.
    """
    ticks = ticking(program)
    found: dict[str, Ends] = {}
    for p in program:
        reads = program.incoming[p.name]
        if isinstance(p.neuron, Product):
            ports: dict[str, list[int]] = {}
            for j in reads:
                ports.setdefault(j.port, []).append(0 if j.lag else ticks.get(j.pre, 0))
            gates = [gcd(*every) for every in ports.values() if all(every)]
            if gates:
                found[p.name] = Ends(p.name, max(gates))
        elif isinstance(p.neuron, Graded) and len(reads) == 1 and _is_relayed(reads[0], found):
            found[p.name] = found[reads[0].pre]
    return found


def _is_relayed(j: Projection, found: Mapping[str, Ends]) -> bool:
    return j.lag == 0 and j.pre in found
