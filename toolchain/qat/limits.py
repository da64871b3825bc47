"""Keeps what is trained inside the registers: shrinks channels whose sums could leave them.

The compiler chose every exponent so that no sum can overflow with the weights it saw. Training
changes the weights; a channel whose largest possible sum would leave the range is scaled back
before the next step, as a max-norm constraint does. So every state of the model is a legal Program.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from ..compiler.quantize.fit.terms import constant_terms
from ..ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from ..ir.bound import Bound
from ..ir.connections import value_bounds
from ..ir.graph import FloatArray
from ..ir.program import LI, LIF, Conv2d, Dense, MultiLevel, Population, Program, Projection
from .wires import Wire

SHRINK = 0.98
"""Share of the limit that a channel is scaled back to."""


def allowed(program: Program, p: Population, bias: int) -> tuple[float, float]:
    """Least and greatest input that `p` may be able to receive; bias: the largest beside it."""
    if isinstance(p.neuron, MultiLevel):
        most = float(program.arithmetic.payload_limit - 1 - bias)
        return -most, most
    if not isinstance(p.neuron, LIF | LI):
        return float(p.low), float(p.high)
    widths = program.arithmetic
    steps = _steps(program, p.neuron)
    room = widths.state_limit - 2 * steps
    most = min(widths.input_limit - 1, room / (growth(program, p.neuron) * (1 << INPUT_SHIFT)))
    return -most, most


def _steps(program: Program, n: LIF | LI) -> int:
    """How long its state stays."""
    return 1 if isinstance(n, LIF) and not n.reset else program.timesteps


def growth(program: Program, n: LIF | LI) -> float:
    """What an input that stays makes of a current within a sample, times the input."""
    widths = program.arithmetic
    keep = (widths.full_decay - n.du) / widths.decay_unity
    return sum(keep**t for t in range(_steps(program, n)))


def ends(program: Program, wire: Wire, weight: IntArray | None = None) -> Bound:
    """Least and greatest value that `wire` can deliver to each neuron of its post."""
    j = wire.whole
    if wire.low_bits:
        return summed(program, wire.parts if weight is None else wire.split(weight))
    if weight is not None:
        assert isinstance(j.connection, Dense | Conv2d)
        j = replace(j, connection=replace(j.connection, weight=weight))
    pre, post = program[j.pre], program[j.post]
    found = value_bounds(j, pre.size, post.size, pre.low, pre.high)
    low, high = (np.broadcast_to(end, post.size) for end in found)
    return Bound(scale_exponent(low, wire.exponents), scale_exponent(high, wire.exponents))


def summed(program: Program, parts: Iterable[Projection]) -> Bound:
    """What projections into one population deliver, as a Program is checked: each by itself."""
    low = high = np.zeros(1, np.int64)
    for j in parts:
        pre, post = program[j.pre], program[j.post]
        found = value_bounds(j, pre.size, post.size, pre.low, pre.high)
        least, most = (np.broadcast_to(end, post.size) for end in found)
        low = low + scale_exponent(least, j.weight_exp)
        high = high + scale_exponent(most, j.weight_exp)
    return Bound(low, high)


def of_constant(program: Program, whole: IntArray) -> Bound:
    """What the projections of a constant [size] deliver, each by itself."""
    low = high = np.zeros_like(whole)
    for t in constant_terms(whole, program.arithmetic):
        value = t.weight << t.exponent
        low, high = low + value.clip(None, 0), high + value.clip(0)
    return Bound(low, high)


def excess(delivered: Iterable[Bound], least: float, most: float) -> FloatArray | None:
    """By what factor the inputs of each neuron must shrink [size]; None if they fit.

    delivered  by all that ends at one port, which may receive least..most
    """
    found = tuple(delivered)
    low = np.sum([b.low for b in found], axis=0)
    high = np.sum([b.high for b in found], axis=0)
    if low.min() >= least and high.max() <= most:
        return None
    over = np.maximum(high / max(most, 1), low / min(least, -1))
    fits = (low >= least) & (high <= most)
    factor: FloatArray = np.where(fits, 1.0, SHRINK / np.maximum(over, 1))
    return factor
