"""LIF neurons before they run: biases, decays as the kernels want them, and the bits they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ....toolchain.ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import LIF, Population
from ..kernels.update import FORGOTTEN
from ..layout import Values


@dataclass(frozen=True, eq=False)
class PlannedNeurons:
    """The neurons of a population as they are run.

    bias     [size] int32 in the population's layout; None for neurons without
    bound    no input is larger
    checked  whether what is sent is compared with the declared range
    widths   the Program's
    """

    population: Population
    bias: Values | None
    bound: int
    checked: bool
    widths: Arithmetic


def bias_of(p: Population) -> IntArray:
    """Bias of each LIF neuron [size]: bias_mant << bias_exp, or >> -bias_exp (floor)."""
    assert isinstance(p.neuron, LIF)
    bias = scale_exponent(p.neuron.bias_mant, p.neuron.bias_exp)
    return np.ascontiguousarray(np.broadcast_to(bias, p.shape)).ravel()


def narrow(p: Population, bound: int, widths: Arithmetic) -> bool:
    """True if LIF neurons that receive at most `bound` need no more than 32 bits (`update`)."""
    assert isinstance(p.neuron, LIF)
    if p.neuron.du == widths.full_decay:  # nothing is left of u
        return bound <= 1 << 24
    return bound <= widths.input_limit


def decays_of(n: LIF, kind: Any, bound: int, widths: Arithmetic) -> Values:
    """Factors of u and v (fractions of 4096 at 12 bits) and threshold << 6; then both as right
    shifts, or -1; then the bits of decays and the largest v.

    For inputs of at most `bound`; see `update`.
    """
    bits = widths.decay_bits
    factors = widths.full_decay - n.du, widths.decay_unity - n.dv
    shifts = [bits + 1 - f.bit_length() if f else 31 for f in factors]
    if any(f & (f - 1) for f in factors):
        shifts = [-1, -1]
    elif factors[0] == 0 and bound <= widths.input_limit:
        shifts[0] = FORGOTTEN
    threshold = n.vth << INPUT_SHIFT
    return np.array([*factors, threshold, *shifts, bits, widths.state_limit - 1], kind)
