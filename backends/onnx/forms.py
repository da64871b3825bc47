"""What the files of neuron programs and connections offer to the export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ...toolchain.ground.arithmetic import Arithmetic
from ...toolchain.ir.program import Population
from .body import Scope


@dataclass(frozen=True)
class Sent:
    """Names of what a population sends (int64, or bool if it is binary) and of its new state."""

    spikes: str
    state: tuple[str, ...] = ()


class NeuronForm:
    """How a population becomes nodes: `Cell` or `Host`."""


@dataclass(frozen=True)
class Cell(NeuronForm):
    """compute  (scope, population, ports, state, widths) -> what is sent.

    ports: name -> int64 [*shape]; state: int64 [*shape] each, as `NeuronProgram.state` names them,
    after the reset.
    """

    compute: Callable[[Scope, Population, Mapping[str, str], tuple[str, ...], Arithmetic], Sent]


@dataclass(frozen=True)
class Host(NeuronForm):
    """sends  (scope, population, events of this step, T, h mod T = r as a bool) -> what is sent."""

    sends: Callable[[Scope, Population, str, int, Callable[[int], str]], Sent]


@dataclass(frozen=True)
class How:
    """What a connection is told besides: are spikes bool, the exponent, the Program's widths."""

    binary: bool
    exponent: int
    widths: Arithmetic


@dataclass(frozen=True)
class ConnectionForm:
    """connect  (connection, scope, flat spikes, how) -> flat sums."""

    connect: Callable[[Any, Scope, str, How], str]
