"""The field's 45 nm operation count: 0.9 pJ per accumulate, 4.6 pJ per multiply-accumulate.

A convention for comparing papers, NOT the energy of any neuromorphic device: it leaves out memory,
neurons, spikes' way over the chip, and static power. fp32 at 45 nm, 0.9 V (Horowitz, ISSCC 2014:
add 0.9 pJ, multiply 3.7 pJ).
"""

from __future__ import annotations

from dataclasses import dataclass

from ...ir.facts import Coincidence
from ...ir.program import Program
from .activity import Activity
from .synops import fan_out

ACCUMULATE_J = 0.9e-12
MULTIPLY_ACCUMULATE_J = 4.6e-12
SOURCE = "45 nm fp32, 0.9 V: Horowitz, ISSCC 2014; the convention of the spiking-transformer papers"


@dataclass(frozen=True)
class Proxy:
    """Operations of one sample. accumulates and multiplies: the SNN; dense_macs: its dense twin."""

    accumulates: float
    multiplies: float
    dense_macs: float

    @property
    def snn_j(self) -> float:
        """The spiking network: accumulates for binary spikes, multiply-accumulates for graded."""
        return ACCUMULATE_J * self.accumulates + MULTIPLY_ACCUMULATE_J * self.multiplies

    @property
    def ann_j(self) -> float:
        """The same layers with dense activations, run once."""
        return MULTIPLY_ACCUMULATE_J * self.dense_macs


def op_proxy(program: Program, activity: Activity) -> Proxy:
    """Count the operations of one sample.

    SNN: each synaptic operation is an accumulate if the spike is binary, a multiply-accumulate if
    it is graded; each neuron of a Product that sends an event has multiplied once.
    Dense twin: one multiply-accumulate per synapse of a weighted projection, and one per neuron
    that multiplies two operands (a product or coincidence of an attention block); the unweighted
    0/1 patterns are wiring there, and a residual's sum is an addition.
    """
    accumulates = multiplies = dense = 0.0
    coincide = {fact.population for fact in program.known(Coincidence)}
    for j in program.projections:
        fan = fan_out(program, j)
        ops = float(activity.events[j.pre].sum(axis=0) @ fan)
        if program[j.pre].graded:
            multiplies += ops
        else:
            accumulates += ops
        if j.connection.storage != "pattern":
            dense += float(fan.sum())
    for p in program:
        if p.neuron.multiplies:
            multiplies += float(activity.events[p.name].sum())
        if p.neuron.multiplies or p.name in coincide:
            dense += p.size
    return Proxy(accumulates, multiplies, dense)
