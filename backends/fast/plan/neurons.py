"""LIF neurons before they run: biases, decays as the kernels want them, and the bits they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ....toolchain.ground.arith import (
    DECAY_UNITY,
    INPUT_SHIFT,
    STATE_LIMIT,
    IntArray,
    scale_exponent,
)
from ....toolchain.ir.program import LIF, Population
from ..kernels.update import FORGOTTEN
from ..layout import Values


@dataclass(frozen=True, eq=False)
class PlannedNeurons:
    """The neurons of a population as they are run.

    bias     [size] int32 in the population's layout; None for neurons without
    bound    no input is larger
    checked  whether what is sent is compared with the declared range
    """

    population: Population
    bias: Values | None
    bound: int
    checked: bool


def bias_of(p: Population) -> IntArray:
    """Bias of each LIF neuron [size]: bias_mant << bias_exp, or >> -bias_exp (floor)."""
    assert isinstance(p.neuron, LIF)
    bias = scale_exponent(p.neuron.bias_mant, p.neuron.bias_exp)
    return np.ascontiguousarray(np.broadcast_to(bias, p.shape)).ravel()


def narrow(p: Population, bound: int) -> bool:
    """True if LIF neurons that receive at most `bound` need no more than 32 bits (`update`)."""
    assert isinstance(p.neuron, LIF)
    if p.neuron.du == DECAY_UNITY - 1:  # nothing is left of u
        return bound <= 1 << 24
    return bound << INPUT_SHIFT <= STATE_LIMIT


def decays_of(n: LIF, kind: Any, bound: int) -> Values:
    """Factors of u and v (fractions of 4096) and threshold << 6; then both as right shifts, or -1.

    For inputs of at most `bound`; see `update`.
    """
    factors = DECAY_UNITY - (n.du + 1), DECAY_UNITY - n.dv
    shifts = [13 - f.bit_length() if f else 31 for f in factors]
    if any(f & (f - 1) for f in factors):
        shifts = [-1, -1]
    elif factors[0] == 0 and bound << INPUT_SHIFT <= STATE_LIMIT:
        shifts[0] = FORGOTTEN
    return np.array([*factors, n.vth << INPUT_SHIFT, *shifts], kind)
