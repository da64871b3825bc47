"""A small Program with what it sends, worked out by hand or by an independent formula."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ir.bounds import port_bounds, sent_range
from sfx.toolchain.ir.program import (
    Connection,
    Graded,
    Input,
    NeuronProgram,
    Population,
    Program,
    Projection,
    Readout,
    Structured,
)

DECLARED = (1 << 23) - 1
"""What neurons are said to send of which no bound is known."""


@dataclass(frozen=True, eq=False)
class KindCase:
    """One sample through an input, one connection and one population.

    x         [T, n] events; expected  [T, m] what the population sends at each model step
    """

    x: IntArray
    connection: Connection
    neuron: NeuronProgram
    expected: IntArray
    weight_exp: int = 0

    @property
    def program(self) -> Program:
        """Balanced; every port receives the same. Neurons that only the host resets read what was
        sent a step ago.
        """
        steps, size = self.x.shape
        bits = int(np.abs(self.x).max()).bit_length()
        source = Input(0 if bits == 1 else bits, int(self.x.min() < 0))
        lag = int(self.neuron.host_reset)
        cell = Population("cell", (self.expected.shape[1],), self.neuron, phase=1 - lag)
        joints = tuple(
            Projection(f"in->{port}", "in", "cell", self.connection, port, self.weight_exp, lag, 1)
            for port in self.neuron.ports
        )
        populations = (Population("in", (size,), source, source.low, source.high, 0), cell)
        program = Program(populations, joints, steps, Readout("cell", 1.0, (0,) * cell.size))
        low, high = sent_range(program, cell, port_bounds(program, cell))
        if self.neuron.unproved:
            low, high = -DECLARED, DECLARED
        return replace(program, populations=(populations[0], replace(cell, low=low, high=high)))


def relayed(connection: Connection, x: list[list[int]], expected: list[list[int]]) -> KindCase:
    """What a connection brings, passed on by graded neurons."""
    return KindCase(np.array(x), connection, Graded(), np.array(expected))


def driven(
    neuron: NeuronProgram, x: list[list[int]], weight: int, expected: list[list[int]]
) -> KindCase:
    """What neurons make of the events x times `weight`."""
    axes = (("n", len(x[0])),)
    return KindCase(np.array(x), Structured(axes, axes, weight), neuron, np.array(expected))
