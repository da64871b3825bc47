"""Which constants of a Program are trained, and in which units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..compiler.quantize.fit.terms import constant_terms
from ..ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from ..ir import program as p
from ..ir.bound import Bound
from ..ir.carried import Constant
from .terms import with_terms

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


def constant_of(program: p.Program, known: Constant) -> Bias:
    """Of a population that receives its bias from a neuron that always fires.

    It stays within a quarter of what the population declares, or where it started.
    """
    q, start = program[known.population], np.zeros(1, np.int64)
    for j in program.projections:
        if j.name in known.projections:
            assert isinstance(j.connection, p.Dense)
            start = start + (j.connection.weight.ravel() << j.weight_exp)
    passes = q.graded and not isinstance(q.neuron, p.LI)
    room = min(-q.low, q.high) if passes else program.arithmetic.input_limit
    limit = max(int(np.abs(start).max(initial=0)), room // 4)
    return Bias(np.broadcast_to(start, q.size), known.threshold, 0, limit)


def port_of(program: p.Program, known: Constant) -> str:
    """Where the constant arrives."""
    return next(j.port for j in program.projections if j.name in known.projections)


def with_constant(program: p.Program, known: Constant, whole: IntArray) -> p.Program:
    """The Program with another constant [size]: as many projections as it takes."""
    old = [j for j in program.projections if j.name in known.projections]
    terms = constant_terms(whole, program.arithmetic)
    return with_terms(program, old, ((p.Dense(t.weight.reshape(-1, 1)), t.exponent) for t in terms))


def bias_of(program: p.Program, q: p.Population, delivered: Iterable[Bound]) -> Bias | None:
    """Of a LIF, an LI, a staircase or the read-out; None for populations without one.

    delivered  what its wires bring before training
    """
    n = q.neuron
    if isinstance(n, p.LIF):
        start = np.broadcast_to(n.bias_mant << n.bias_exp, q.shape).ravel()
        unit = max(n.vth, 1) << INPUT_SHIFT
        return Bias(start, unit, n.bias_exp, program.arithmetic.bias_range[1])
    if isinstance(n, p.LI):
        start = np.broadcast_to(n.bias_mant << n.bias_exp, q.shape).ravel()
        unit = _largest_weight(program, q) << INPUT_SHIFT
        return Bias(start, unit, n.bias_exp, program.arithmetic.bias_range[1])
    if isinstance(n, p.MultiLevel):
        start = np.broadcast_to(n.bias, q.shape).ravel()
        return Bias(start, n.step, 0, _limit(program, n, delivered))
    if q.name == program.readout.population:
        start = np.array(program.readout.offset)
        return Bias(start, program.readout.scale, 0, OFFSET_LIMIT, wide=True)
    return None


def _largest_weight(program: p.Program, q: p.Population) -> int:
    """What one event brings at most, at least 1: the measure of what has no threshold."""
    own = [(j.connection.weights, j.weight_exp) for j in program.incoming[q.name]]
    return max([1, *(int(scale_exponent(np.abs(w).max(initial=0), e)) for w, e in own)])


def _limit(program: p.Program, n: p.MultiLevel, delivered: Iterable[Bound]) -> int:
    """The largest bias of a staircase: what is left beside its input, or a few steps."""
    largest = sum(int(b.largest.max(initial=0)) for b in delivered)
    room = max(program.arithmetic.payload_limit - 1 - largest, 0)
    return max(int(np.abs(n.bias).max(initial=0)), min(room, int(SPARE_STEPS * n.step)))


def with_bias(q: p.Population, whole: IntArray) -> p.Population:
    """The population with another constant [size]."""
    n = q.neuron
    if isinstance(n, p.LIF | p.LI):
        mant = (whole >> n.bias_exp).reshape(q.shape)
        return replace(q, neuron=replace(n, bias_mant=mant))
    assert isinstance(n, p.MultiLevel)
    return replace(q, neuron=replace(n, bias=whole.reshape(q.shape)))
