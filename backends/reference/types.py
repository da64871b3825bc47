"""Shapes of the functions that the rule files offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ground.arithmetic import Arithmetic
from ...toolchain.ir.program import Population

Synapses = Callable[[IntArray], IntArray]
"""What pre sends [B, pre] -> what post receives [B, post], both flat in C order."""

Ports = Mapping[str, IntArray]
"""Input of a population at one step, by port: [B, *shape]."""


@dataclass(frozen=True)
class ConnectionRule:
    """synapses  (connection, exponent of its projection, widths) -> what they do."""

    synapses: Callable[[Any, int, Arithmetic], Synapses]


class NeuronRule:
    """What is done with a population at one step: `Cell` or `Host`."""


@dataclass(frozen=True)
class Cell(NeuronRule):
    """Neurons that compute.

    step     (program, state, ports, widths) -> the state after it, and what is sent [B, *shape]
    initial  shape [B, *shape] -> the state before the first step of a sample
    busy     (program, state) -> neurons with something to update if nothing arrives [B, *shape]
    """

    step: Callable[[Any, Any, Ports, Arithmetic], tuple[Any, IntArray]]
    initial: Callable[[tuple[int, ...]], Any] = lambda shape: None
    busy: Callable[[Any, Any], Any] = lambda program, state: np.False_


@dataclass(frozen=True)
class Host(NeuronRule):
    """Neurons that the host drives.

    sends    (x [B, H, *input shape], population, h, T) -> what is sent at step h [B, *shape]
    encoded  (the sample's events, population) -> x
    """

    sends: Callable[[IntArray, Population, int, int], IntArray]
    encoded: Callable[[IntArray, Population], IntArray] = lambda x, population: x
