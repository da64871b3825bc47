"""One step of any population: its neuron program applied to its ports. One file per program."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.kinds import Rules
from ....toolchain.ir.neurons.base import NeuronProgram
from ....toolchain.ir.program import Population
from ..types import Cell, Host, NeuronRule, Ports

RULES = Rules("the reference", __name__, NeuronRule)

State = Any
"""What a program keeps from step to step; None if nothing. Those with u and v are recorded."""


def host(neuron: NeuronProgram) -> Host | None:
    """The rule of a program that the host drives; None of all others."""
    rule = RULES[type(neuron)]
    return rule if isinstance(rule, Host) else None


def encoded(population: Population, x: IntArray) -> IntArray:
    """What the input population sends for the sample's events x [B, H, *shape]."""
    rule = host(population.neuron)
    assert rule is not None, "the host drives the input"
    return rule.encoded(x, population)


def initial(neuron: NeuronProgram, shape: tuple[int, ...]) -> State:
    """The state before hardware step 0. shape [B, *population shape]."""
    rule = RULES[type(neuron)]
    return rule.initial(shape) if isinstance(rule, Cell) else None


def step(
    neuron: NeuronProgram, state: State, ports: Ports, widths: Arithmetic
) -> tuple[State, IntArray]:
    """The state after the step and what the population sends [B, *shape]; widths: the Program's."""
    rule = RULES[type(neuron)]
    assert isinstance(rule, Cell), "the host drives it"
    return rule.step(neuron, state, ports, widths)


def active(neuron: NeuronProgram, state: State, ports: Ports) -> IntArray:
    """1 for neurons with something to update: input at any port, u or v before the step, a bias."""
    rule = RULES[type(neuron)]
    assert isinstance(rule, Cell), "the host drives it"
    busy = np.any([a != 0 for a in ports.values()], axis=0)
    return np.asarray(busy | rule.busy(neuron, state), dtype=np.int64)
