"""Bounds of a Program: what each port can receive and what each population can send."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from ..ground.arith import IntArray, scale_exponent
from .connections import value_bounds
from .last_step import once_per_sample
from .program import (
    LIF,
    Clock,
    Graded,
    GradedReLU,
    Input,
    Population,
    Product,
    Program,
    Projection,
)


@dataclass(frozen=True, eq=False)
class Bound:
    """Least and greatest value of each neuron [size]; low <= 0 <= high.

    Where all neurons have the same, the arrays are [1]: coincidences are counted in millions.
    """

    low: IntArray
    high: IntArray

    @property
    def largest(self) -> IntArray:
        """Greatest magnitude of each neuron, [size] or [1]."""
        return np.maximum(-self.low, self.high)


Ports = Mapping[str, Bound]


def port_bounds(program: Program, p: Population, without: Collection[str] = ()) -> Ports:
    """By port: the sum over its projections of what they can deliver, exponents applied.

    Follows from the declared range of each pre population, but for those in `without`. No event
    is always possible. Of what speaks once per sample and is read at several steps of a sample,
    one delivers at a time.
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
    once = once_per_sample(program) if any(j.lag < 0 for j in incoming) else {}
    for number, j in enumerate(incoming):
        key = (j.port, once[j.pre]) if j.pre in once else (j.port, f"#{number}")
        groups.setdefault(key, {}).setdefault(j.lag, []).append(j)
    out: list[tuple[str, list[list[Projection]]]] = []
    for (port, _), by_lag in groups.items():
        if max(by_lag) - min(by_lag) < program.timesteps:
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


def product_bound(a: Bound, b: Bound) -> Bound:
    """Bound of the elementwise product."""
    ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Bound(reduce(np.minimum, ends), reduce(np.maximum, ends))


def sent_range(p: Population, ports: Ports) -> tuple[int, int]:
    """Least and greatest value that a population can send, given what its ports can receive."""
    match p.neuron:
        case Input():
            return 0, (1 << p.neuron.payload_bits) - 1 if p.neuron.payload_bits else 1
        case Clock() | LIF():
            return 0, 1
        case Graded():
            bound = ports["a_in"]
        case GradedReLU():
            bound = Bound(np.zeros_like(ports["a_in"].low), ports["a_in"].high)
        case Product():
            full = product_bound(ports["a_in1"], ports["a_in2"])
            bound = Bound(full.low >> p.neuron.exp, full.high >> p.neuron.exp)
        case _:
            raise TypeError(f"no range for {type(p.neuron).__name__}")
    return int(bound.low.min(initial=0)), int(bound.high.max(initial=0))


def difference(a: Bound, b: Bound) -> Bound:
    """What a part of the sources adds, where `a` is the bound of all and `b` of the others."""
    return Bound(a.low - b.low, a.high - b.high)


def current_bound(neuron: LIF, a_in: Bound, timesteps: int, once: Bound | None = None) -> Bound:
    """Bound of the current u within one sample: u = tz(u * (4095 - du), 12) + (a_in << 6).

    Truncation toward zero only makes it smaller, so the plain recursion is an upper bound. `once`
    arrives besides, at one step of the sample, and never grows afterwards.
    """
    low = high = np.zeros_like(a_in.low)
    for _ in range(timesteps if neuron.du < 4095 else 1):
        low = -((-low * (4095 - neuron.du)) >> 12) + (a_in.low << 6)
        high = ((high * (4095 - neuron.du)) >> 12) + (a_in.high << 6)
    if once is not None:
        low, high = low + (once.low << 6), high + (once.high << 6)
    return Bound(low, high)
