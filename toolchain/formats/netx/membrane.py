"""The last layer of a `.net` file whose neurons never fire: its membrane is read out.

SLAYER's Affine writes one of two things (lava-dl 0.6.0, `slayer.block.base.AbstractAffine`):

* with its dynamics, a neuron whose threshold of 18 bits nothing reaches. SLAYER sends the voltage
  at every step; the read-out is its mean over the steps.
* without them, no neuron. SLAYER sends what arrives at every step; netx gives the layer a current
  that adds it up. The read-out is that sum over the sample: the membrane at the last step. Where
  netx's current wraps beyond 24 bits, this membrane saturates.

Values are in units of the file's weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...ground.arith import INPUT_SHIFT, IntArray
from ...ir import bounds
from ...ir.program import LI, Population, Program, Readout
from .file import Membrane


def neuron(membrane: Membrane, bias: IntArray) -> LI:
    """The neurons; bias as the population takes it.

    netx adds the bias of a layer without neurons to the membrane of each step, which forgets it:
    then it is the read-out's (`readout`).
    """
    own = np.zeros((), np.int64) if membrane.summed else bias
    return LI(membrane.du, membrane.dv, own, INPUT_SHIFT)


def readout(membrane: Membrane, last: Population, bias: IntArray, timesteps: int) -> Readout:
    """How the host reads the last layer."""
    unit = float(1 << INPUT_SHIFT)
    if not membrane.summed:
        return Readout(last.name, unit * timesteps, (0,) * last.size)
    once = np.broadcast_to(bias << INPUT_SHIFT, last.shape).ravel()
    offset = tuple(int(b) for b in once)
    return Readout(last.name, unit, offset, (*(0,) * (timesteps - 1), 1))


def bounded(program: Program) -> Program:
    """`program` with the range of its membranes as their inputs make it."""

    def of(p: Population) -> Population:
        if not isinstance(p.neuron, LI):
            return p
        low, high = bounds.sent_range(program, p, bounds.port_bounds(program, p))
        return replace(p, low=low, high=high)

    return replace(program, populations=tuple(of(p) for p in program))
