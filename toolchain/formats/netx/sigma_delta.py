"""Sigma-delta layers of a `.net` file: neurons, ranges and time as netx gives them to Lava.

What they send is the change of a value with `SPIKE_EXP` fractional bits, their states have
`SPIKE_EXP` + `STATE_EXP`. lava-dl 0.6.0, `netx.hdf5.Network` with its defaults.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...ground.arith import IntArray
from ...ground.arithmetic import LOIHI
from ...ground.errors import InputError
from ...ir.program import (
    Delta,
    NeuronProgram,
    Population,
    Program,
    Readout,
    Sigma,
    SigmaDelta,
)
from . import inputs as netx_input
from .file import Changes, Layer
from .inputs import InputTransform

SPIKE_EXP = 6
STATE_EXP = 6


def neuron(layer: Layer, changes: Changes, bias: IntArray, where: str) -> NeuronProgram:
    """What the layer's neurons are; bias as the population takes it.

    Raises InputError (SFX-E162): a bias of neurons that send their sum, which Lava's have not.
    """
    if not changes.sums:
        return SigmaDelta(changes.vth, bias, SPIKE_EXP, STATE_EXP)
    if np.any(bias):
        what = "has a bias and sends its sums, and Lava's Sigma has no bias"
        raise InputError("SFX-E162", what, where=where, hint="export the layer without a bias")
    return Sigma()


def declared(changes: Changes) -> tuple[int, int]:
    """What is taken to be sent: messages of the file's bits, sums of a whole payload."""
    high = (1 << (changes.message_bits - 1)) - 1
    high = LOIHI.payload_limit - 1 if changes.sums else min(high, LOIHI.payload_limit - 1)
    return -high, high


def applied(transform: InputTransform, data: str | None, where: str) -> InputTransform:
    """What the Program does to samples: nothing. netx's user sets int(weight x + bias) as the
    value of the input, x a fraction, so that number is what a whole number can say.

    Raises InputError (SFX-E173) if samples are said to hold x.
    """
    if data not in (None, netx_input.TRANSFORMED):
        raise InputError(
            "SFX-E173",
            f"is {data!r}, but sigma-delta input neurons take {transform} of x, rounded down",
            where="net_input",
            hint="compute that number and leave the option out",
        )
    return netx_input.UNITY


def input_population(layer: Layer, bits: int) -> Population:
    """The input of a network whose input neurons send changes: values of either sign."""
    assert isinstance(layer.neuron, Changes)
    vth = layer.neuron.vth
    neuron = Delta(bits, 1, vth=vth, spike_exp=SPIKE_EXP, state_exp=STATE_EXP)
    sent = neuron.sends({})
    return Population("input", layer.shape, neuron, int(sent.low[0]), int(sent.high[0]))


def in_netx_time(program: Program, where: str) -> Program:
    """The Program of sigma-delta layers in the time of Lava's network, or as it is without any.

    Each layer reads what the one before sent one step ago, so all compute from the first step on.
    A read-out of sums is their mean over the steps, of changes the last value. Raises InputError:
    SFX-E162 where only some layers are sigma-delta, SFX-E166 for fewer steps than layers.
    """
    kinds = [p.neuron.host_reset for p in program]
    if not any(kinds):
        return program
    if not all(kinds):
        what = "has sigma-delta and spiking layers; only the former run without a reset"
        raise InputError("SFX-E162", what, where=where, hint="export them as two networks")
    if program.timesteps < len(kinds):
        raise InputError(
            "SFX-E166",
            f"T is {program.timesteps}, but what enters at the first step arrives at the last of "
            f"{len(kinds)} layers {len(kinds) - 1} steps later",
            where=where,
            hint=f"give --timesteps {len(kinds)} or more",
        )
    last = program.populations[-1]
    sums = isinstance(last.neuron, Sigma)
    scale = (1 << (SPIKE_EXP + STATE_EXP)) * program.timesteps if sums else 1 << SPIKE_EXP
    return replace(
        program,
        projections=tuple(replace(j, lag=1) for j in program.projections),
        readout=Readout(last.name, float(scale), (0,) * last.size),
    )
