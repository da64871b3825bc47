"""Bounds of a Program: what each port can receive and what each population can send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sfx.toolchain.arith import IntArray, scale_exponent
from sfx.toolchain.ir.connections import value_bounds
from sfx.toolchain.ir.program import (
    LIF,
    Clock,
    Graded,
    GradedReLU,
    Input,
    Population,
    Product,
    Program,
)


@dataclass(frozen=True, eq=False)
class Bound:
    """Least and greatest value of each neuron [size]; low <= 0 <= high."""

    low: IntArray
    high: IntArray

    @property
    def largest(self) -> IntArray:
        """Greatest magnitude of each neuron [size]."""
        return np.maximum(-self.low, self.high)


Ports = Mapping[str, Bound]


def port_bounds(program: Program, p: Population) -> Ports:
    """By port: the sum over its projections of what they can deliver, exponents applied.

    Follows from the declared range of each pre population. No event is always possible.
    """
    zero = np.zeros(p.size, dtype=np.int64)
    ports = {name: Bound(zero, zero) for name in p.neuron.ports}
    for j in program.incoming[p.name]:
        pre = program[j.pre]
        low, high = value_bounds(j, pre.size, p.size, pre.low, pre.high)
        sum_so_far = ports[j.port]
        ports[j.port] = Bound(
            sum_so_far.low + scale_exponent(low, j.weight_exp),
            sum_so_far.high + scale_exponent(high, j.weight_exp),
        )
    return ports


def product_bound(a: Bound, b: Bound) -> Bound:
    """Bound of the elementwise product."""
    ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Bound(np.min(ends, axis=0), np.max(ends, axis=0))


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


def current_bound(neuron: LIF, a_in: Bound, timesteps: int) -> Bound:
    """Bound of the current u within one sample: u = tz(u * (4095 - du), 12) + (a_in << 6).

    Truncation toward zero only makes it smaller, so the plain recursion is an upper bound.
    """
    low = high = np.zeros_like(a_in.low)
    for _ in range(timesteps if neuron.du < 4095 else 1):
        low = -((-low * (4095 - neuron.du)) >> 12) + (a_in.low << 6)
        high = ((high * (4095 - neuron.du)) >> 12) + (a_in.high << 6)
    return Bound(low, high)
