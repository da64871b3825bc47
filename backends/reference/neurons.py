"""One step of any population: its neuron program applied to its ports."""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ir.program import LIF, Graded, GradedReLU, NeuronProgram, Product
from . import graded, graded_relu, lif, product
from .types import Ports

State = lif.State | None
"""u and v of LIF; the other programs keep nothing."""


def initial(neuron: NeuronProgram, shape: tuple[int, ...]) -> State:
    """The state before hardware step 0. shape [B, *population shape]."""
    return lif.reset(shape) if isinstance(neuron, LIF) else None


@singledispatch
def step(neuron: NeuronProgram, state: State, ports: Ports) -> tuple[State, IntArray]:
    """The state after the step and what the population sends [B, *shape]."""
    raise TypeError(f"no rule for {type(neuron).__name__}")


@step.register
def _lif(neuron: LIF, state: State, ports: Ports) -> tuple[State, IntArray]:
    assert state is not None
    return lif.step(neuron, state, ports["a_in"])


@step.register
def _graded(neuron: Graded, state: State, ports: Ports) -> tuple[State, IntArray]:
    return None, graded.step(neuron, ports["a_in"])


@step.register
def _graded_relu(neuron: GradedReLU, state: State, ports: Ports) -> tuple[State, IntArray]:
    return None, graded_relu.step(neuron, ports["a_in"])


@step.register
def _product(neuron: Product, state: State, ports: Ports) -> tuple[State, IntArray]:
    return None, product.step(neuron, ports["a_in1"], ports["a_in2"])


def active(neuron: NeuronProgram, state: State, ports: Ports) -> IntArray:
    """1 for neurons with something to update: input at any port, u or v before the step, a bias."""
    busy = np.any([a != 0 for a in ports.values()], axis=0)
    if isinstance(neuron, LIF) and state is not None:
        busy = busy | (state.u != 0) | (state.v != 0) | (lif.bias(neuron) != 0)
    return np.asarray(busy, dtype=np.int64)
