"""The integer weights that lava-dl's netx gives to Lava, and the same as legal mantissas.

netx shifts the weights of a dense layer up until they fill the synapse and the exponent down by
as much (`optimize_weight_bits`); Lava then clips and truncates them. For most weights that is
the identity; where it is not, the result here is what Lava really uses.
"""

from __future__ import annotations

import math

import numpy as np

from ...ground.arith import IntArray
from ...ground.arithmetic import LOIHI
from ...ground.errors import InputError

Mantissas = tuple[tuple[IntArray, int], ...]
"""(weights, exponent) of each projection; their sums add up to the layer's input."""


def dense(weight: IntArray, where: str) -> IntArray:
    """What a netx dense layer computes with `weight` [out, in]: whole numbers, exponent applied.

    Source: lava.lib.dl.netx.utils.optimize_weight_bits of lava-dl 0.6.0, then Lava's Dense
    (integer semantics 3.1). Raises InputError (SFX-E164) where netx itself goes wrong.
    """
    low, high = int(weight.min()), int(weight.max())
    if low < 0 < high:
        weight = np.clip(weight, -256, 254)
        low, high = int(weight.min()), int(weight.max())
    elif low < -256 or high > 255:
        raise _range(low, high, where)
    if low == high == 0:
        return weight
    if low < 0 <= high:
        scale = min(127 / high if high else math.inf, -128 / low)
    else:
        scale = -256 / low if high < 0 else 255 / high
    signed = int(low < 0 <= high)
    up = math.floor(math.log2(scale)) + signed
    zeros = next(n for n in range(8, -1, -1) if not np.any(weight % (1 << n)))
    bits = 8 - up - (zeros - signed)
    used = LOIHI.effective_weights(weight << up, bits)
    if np.any(used % (1 << up)):  # only the sum is shifted down, so single weights stay fractions
        what = f"netx's shift by {up} bits does not keep these weights ({low}..{high})"
        raise InputError("SFX-E164", what, where=where)
    return used >> up


def dense_rec(outer: IntArray, own: IntArray, where: str) -> tuple[IntArray, IntArray]:
    """As `dense`, of both matrices of a recurrent layer: netx fits them into one synapse format."""
    used = dense(np.hstack([outer, own]), where)
    return used[:, : outer.shape[1]], used[:, outer.shape[1] :]


def legal(weight: IntArray, where: str, *, shift: bool) -> Mantissas:
    """`weight` as mantissas that 8-bit synapses hold, exactly.

    Odd weights of mixed sign have no place in one 8-bit synapse (integer semantics 3.1): they
    become twice the weight with exponent -1 (if `shift`), or else one projection for the positive
    and one for the negative weights. Raises InputError (SFX-E164) for weights beyond -256..255.
    """
    if np.array_equal(weight, LOIHI.effective_weights(weight)):
        return ((weight, 0),)
    if shift and weight.min() >= -128 and weight.max() <= 127:
        return ((weight * 2, -1),)
    if weight.min() < -255 or weight.max() > 255:
        raise _range(int(weight.min()), int(weight.max()), where)
    return (np.maximum(weight, 0), 0), (np.minimum(weight, 0), 0)


def _range(low: int, high: int, where: str) -> InputError:
    return InputError(
        "SFX-E164",
        f"weights are in {low}..{high}, a synapse holds -255..255 (to -256 if all are even)",
        where=where,
        hint="train with 8-bit weights (SLAYER's quantize_8bit)",
    )
