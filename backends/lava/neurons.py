"""One population -> one of Lava's neuron processes, flat: shape (population size,)."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from lava.proc.graded.process import GradedReluVec, GradedVec
from lava.proc.lif.process import LIF as LavaLif
from lava.proc.lif.process import LIFReset
from lava.proc.prodneuron.process import ProdNeuron

from ...toolchain.ir.program import LIF, Graded, GradedReLU, NeuronProgram, Population, Product


def neuron(population: Population, timesteps: int) -> Any:
    """The Lava process of `population`; LIFs with `reset` start every sample at zero."""
    return _process(population.neuron, population, timesteps)


@singledispatch
def _process(kind: NeuronProgram, population: Population, timesteps: int) -> Any:
    raise TypeError(f"no Lava process for {type(kind).__name__}")


@_process.register
def _lif(kind: LIF, population: Population, timesteps: int) -> Any:
    """Lava counts steps from 1, so hardware step k*T + phase is its step k*T + phase + 1."""
    shape = (population.size,)
    bias = np.broadcast_to(kind.bias_mant, population.shape).reshape(-1).astype(np.int32)
    common = {
        "shape": shape,
        "du": kind.du,
        "dv": kind.dv,
        "vth": kind.vth,
        "bias_mant": bias,
        "bias_exp": kind.bias_exp,
    }
    if not kind.reset:
        return LavaLif(**common)
    offset = (population.phase + 1) % timesteps or timesteps
    return LIFReset(**common, reset_interval=timesteps, reset_offset=offset)


@_process.register
def _graded(kind: Graded, population: Population, timesteps: int) -> Any:
    return GradedVec(shape=(population.size,), vth=kind.vth)


@_process.register
def _graded_relu(kind: GradedReLU, population: Population, timesteps: int) -> Any:
    return GradedReluVec(shape=(population.size,), vth=kind.vth)


@_process.register
def _product(kind: Product, population: Population, timesteps: int) -> Any:
    return ProdNeuron(shape=(population.size,), vth=kind.vth, exp=kind.exp)
