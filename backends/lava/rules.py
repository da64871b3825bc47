"""What the files of neuron programs and connections offer; none imports Lava before it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ...toolchain.ground.arith import IntArray
from ...toolchain.ir.connection_kinds.base import Connection
from ...toolchain.ir.program import Population, Projection

Kind = Literal["Dense", "DelayDense", "Sparse", "DelaySparse", "Conv"]
"""Lava's connection processes."""
SYNAPSE_BYTES = 16
"""int64 data and column index in the Program's matrix; Lava's are half of it."""


class NeuronRule:
    """What a population becomes: `Process` or `Host`."""


@dataclass(frozen=True)
class Process(NeuronRule):
    """make  (population, T) -> the Lava process, flat: shape (population size,)."""

    make: Callable[[Population, int], Any]


@dataclass(frozen=True)
class Host(NeuronRule):
    """The host drives it.

    sends    (population, events [K*T, size], steps, T) -> what the host sends [neurons, steps]
    encoder  population -> the Lava process, flat, that turns it into what the population sends;
             None: nothing does
    """

    sends: Callable[[Population, IntArray, int, int], IntArray]
    encoder: Callable[[Population], Any] | None = None


def as_matrix(projection: Projection, pre: Population) -> Kind:
    """A sparse matrix, with delays of its own if there are any."""
    return "DelaySparse" if projection.delay > 1 else "Sparse"


def matrix_bytes(connection: Connection, kind: Kind) -> int:
    """Memory of the Program's weights as a sparse matrix."""
    return connection.synapses * SYNAPSE_BYTES


@dataclass(frozen=True)
class ConnectionRule:
    """choose  (balanced projection, pre) -> the Lava process that it becomes
    stored  (connection, that process) -> bytes of the Program's weights in that form
    """

    choose: Callable[[Projection, Population], Kind] = as_matrix
    stored: Callable[[Any, Kind], int] = matrix_bytes
