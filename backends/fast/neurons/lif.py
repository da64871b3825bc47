"""LIF: leaky integrate and fire. Biases, decays as the kernels want them, the bits they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ....toolchain.ground.arith import INPUT_SHIFT, IntArray
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import LI, LIF, MultiLevel, Population, SigmaDelta
from ..kernels.update import FORGOTTEN
from ..layout import Values
from ..rules import Leaky

if TYPE_CHECKING:
    from torch import Tensor


def bias_of(p: Population) -> IntArray:
    """Bias of each neuron [size], of a LIF bias_mant << bias_exp, or >> -bias_exp (floor)."""
    assert isinstance(p.neuron, LI | LIF | MultiLevel | SigmaDelta)
    return np.ascontiguousarray(np.broadcast_to(p.neuron.bias, p.shape)).ravel()


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


def on_device(
    n: LIF, a: Tensor, state: tuple[Tensor, Tensor], bias: Tensor, widths: Arithmetic
) -> tuple[Tensor, Tensor, Tensor]:
    """`ir.neurons.lif.LIF`: the spikes, and u and v after the step."""
    import torch

    from ..kernels.on_device import leaky

    u, v = leaky((n.du, n.dv), a, state, bias, widths)
    s = v > (n.vth << INPUT_SHIFT)
    return s, u, torch.where(s, 0, v)


RULE = Leaky(on_device)
