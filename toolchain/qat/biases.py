"""Which constants of a Program are trained, and in which units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..ground.arith import INPUT_SHIFT, IntArray
from ..ir import program as p
from ..ir.bound import Bound

OFFSET_LIMIT = 1 << 52
"""Of the read-out, which the host adds in whole numbers."""
SPARE_STEPS = 4
"""Steps of a staircase by which training may move a bias beyond where it starts."""


@dataclass(frozen=True, eq=False)
class Bias:
    """What a population adds at every step.

    start  before training [size], in units of what it is added to
    unit   what a trained offset of 1 is worth
    exp    the constant is a mantissa of at most `limit`, shifted left by it
    wide   beyond what float32 holds exactly
    """

    start: IntArray
    unit: float
    exp: int
    limit: int
    wide: bool = False

    @property
    def most(self) -> int:
        """The largest constant that training may reach."""
        return self.limit << self.exp


def bias_of(program: p.Program, q: p.Population, delivered: Iterable[Bound]) -> Bias | None:
    """Of a LIF, a staircase or the read-out; None for populations without one.

    delivered  what its wires bring before training
    """
    n = q.neuron
    if isinstance(n, p.LIF):
        start = np.broadcast_to(n.bias_mant << n.bias_exp, q.shape).ravel()
        unit = max(n.vth, 1) << INPUT_SHIFT
        return Bias(start, unit, n.bias_exp, program.arithmetic.bias_range[1])
    if isinstance(n, p.MultiLevel):
        start = np.broadcast_to(n.bias, q.shape).ravel()
        return Bias(start, n.step, 0, _limit(program, n, delivered))
    if q.name == program.readout.population:
        start = np.array(program.readout.offset)
        return Bias(start, program.readout.scale, 0, OFFSET_LIMIT, wide=True)
    return None


def _limit(program: p.Program, n: p.MultiLevel, delivered: Iterable[Bound]) -> int:
    """The largest bias of a staircase: what is left beside its input, or a few steps."""
    largest = sum(int(b.largest.max(initial=0)) for b in delivered)
    room = max(program.arithmetic.payload_limit - 1 - largest, 0)
    return max(int(np.abs(n.bias).max(initial=0)), min(room, int(SPARE_STEPS * n.step)))


def with_bias(q: p.Population, whole: IntArray) -> p.Population:
    """The population with another constant [size]."""
    n = q.neuron
    if isinstance(n, p.LIF):
        mant = (whole >> n.bias_exp).reshape(q.shape)
        return replace(q, neuron=replace(n, bias_mant=mant))
    assert isinstance(n, p.MultiLevel)
    return replace(q, neuron=replace(n, bias=whole.reshape(q.shape)))
