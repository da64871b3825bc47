"""Bounds of a Program: what each port can receive and what each population can send."""

from __future__ import annotations

from collections.abc import Collection
from functools import reduce

import numpy as np

from ..ground.arith import scale_exponent
from .bound import Bound, Ports
from .connections import value_bounds
from .facts import SampleTotal
from .last_step import clock_behind, once_per_sample
from .program import Clock, Population, Program, Projection


def port_bounds(program: Program, p: Population, without: Collection[str] = ()) -> Ports:
    """By port: the sum over its projections of what they can deliver, exponents applied.

    Follows from the declared range of each pre population, but for those in `without`. No event
    is always possible. Of what is sent once per sample, or group of steps, and read at several of
    its steps (a `SampleTotal`), one delivers at a time.
    """
    zero = np.zeros(1, dtype=np.int64)
    ports = {name: Bound(zero, zero) for name in p.neuron.ports}
    for port, reads in _at_a_time(program, p, without):
        found = [_delivers(program, p, same) for same in reads]
        ports[port] = Bound(
            ports[port].low + reduce(np.minimum, [b.low for b in found]),
            ports[port].high + reduce(np.maximum, [b.high for b in found]),
        )
    return ports


def _at_a_time(
    program: Program, p: Population, without: Collection[str]
) -> list[tuple[str, list[list[Projection]]]]:
    """Per port, projections in groups of which only one member delivers at any step.

    A member is all the projections that read one population at one step: they deliver together.
    """
    groups: dict[tuple[str, str], dict[int, list[Projection]]] = {}
    incoming = [j for j in program.incoming[p.name] if j.pre not in without]
    totals = program.known(SampleTotal) if any(j.lag < 0 for j in incoming) else ()
    once = {name: f.of for f in totals if f.population == p.name for name in f.reads}
    every = {e.origin: e.every for e in once_per_sample(program).values()} if once else {}
    for j in incoming:  # a clock ticks once in its period, so one of several lags brings it
        clock = clock_behind(program, j.pre)
        if clock is not None:
            once[j.name] = clock.name
            assert isinstance(clock.neuron, Clock)
            every[clock.name] = clock.neuron.period(program.timesteps)
    for number, j in enumerate(incoming):
        key = (j.port, once[j.name]) if j.name in once else (j.port, f"#{number}")
        groups.setdefault(key, {}).setdefault(j.lag, []).append(j)
    out: list[tuple[str, list[list[Projection]]]] = []
    for (port, origin), by_lag in groups.items():
        if max(by_lag) - min(by_lag) < every.get(origin, 1):
            out.append((port, list(by_lag.values())))
        else:
            out += [(port, [same]) for same in by_lag.values()]
    return out


def _delivers(program: Program, p: Population, projections: list[Projection]) -> Bound:
    total = Bound(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))
    for j in projections:
        pre = program[j.pre]
        low, high = value_bounds(j, pre.size, p.size, pre.low, pre.high)
        total = Bound(
            total.low + scale_exponent(low, j.weight_exp),
            total.high + scale_exponent(high, j.weight_exp),
        )
    return total


def sent_range(program: Program, p: Population, ports: Ports) -> tuple[int, int]:
    """Least and greatest value that a population can send, given what its ports can receive."""
    bound = p.neuron.sends_within(ports, program.timesteps, program.arithmetic)
    return int(bound.low.min(initial=0)), int(bound.high.max(initial=0))
