"""The integer arithmetic of Loihi 2, as Lava computes it: pure functions on int64 arrays.

Every rule quotes the formula it implements; the formulas were established by running
lava-nc 0.10.0 with `Loihi2SimCfg(select_tag="fixed_pt")` and are checked against it by
`tests/conformance`. Nothing here knows about graphs, neurons or files.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

STATE_BITS = 24
"""Width of the membrane state registers u and v (signed)."""
STATE_LIMIT = 1 << (STATE_BITS - 1)
"""2**23: u wraps beyond it, v saturates just below it."""
DECAY_SHIFT = 12
"""Decays are fractions of 2**12."""
DECAY_UNITY = 1 << DECAY_SHIFT
INPUT_SHIFT = 6
"""Synaptic input and threshold are shifted left by 6 before they meet u and v."""

SignMode = Literal["mixed", "excitatory", "inhibitory"]


def as_int(x: object) -> IntArray:
    """`x` as an int64 array, refusing values that are not whole numbers."""
    array = np.asarray(x)
    if array.dtype.kind in "bui":
        return array.astype(np.int64)
    exact = array.astype(np.int64)
    if not np.array_equal(exact, array):
        raise ValueError("expected whole numbers")
    return exact


def wrap(x: IntArray, bits: int) -> IntArray:
    """Two's complement wrap to `bits` bits: ((x + 2^(b-1)) mod 2^b) - 2^(b-1)."""
    half = 1 << (bits - 1)
    return ((x + half) & ((1 << bits) - 1)) - half


def wrap32(x: IntArray) -> IntArray:
    """Wrap to a signed 32-bit integer, as numpy's int32 arithmetic in Lava does."""
    return wrap(x, 32)


def truncate_shift(x: IntArray, bits: int) -> IntArray:
    """sign(x) * (|x| >> bits): shift right, rounding toward zero."""
    shifted: IntArray = np.sign(x) * (np.abs(x) >> bits)
    return shifted


def decay(x: IntArray, factor: int | IntArray) -> IntArray:
    """One step of decay: sign(x) * (|x * factor| >> 12), with `factor` a fraction of 4096."""
    return truncate_shift(x * factor, DECAY_SHIFT)


def wrap_current(u: IntArray) -> IntArray:
    """The one wrap that Lava gives the current u.

    if u > 2^23: u -= 2^24; if u <= -2^23: u += 2^24. A current more than one turn outside
    stays outside (loihi LIF model, `subthr_dynamics`).
    """
    turn = 2 * STATE_LIMIT
    return np.where(u > STATE_LIMIT, u - turn, np.where(u <= -STATE_LIMIT, u + turn, u))


def saturate_membrane(v: IntArray) -> IntArray:
    """clip(v, -(2^23 - 1), 2^23 - 1)."""
    return np.clip(v, -(STATE_LIMIT - 1), STATE_LIMIT - 1)


def scale_exponent(x: IntArray, exponent: int | IntArray) -> IntArray:
    """x << e for e >= 0, x >> -e (floor) for e < 0, without a wrap."""
    e = np.asarray(exponent, dtype=np.int64)
    return np.where(e >= 0, x << np.maximum(e, 0), x >> np.maximum(-e, 0))


def sign_mode(weights: IntArray) -> SignMode:
    """Lava's choice where none is given: excitatory if min >= 0, inhibitory if max <= 0."""
    if weights.size == 0 or weights.min() >= 0:
        return "excitatory"
    return "inhibitory" if weights.max() <= 0 else "mixed"


def effective_weights(weights: IntArray, bits: int = 8, mode: SignMode | None = None) -> IntArray:
    """The weights that a Dense or Sparse connection really uses: clipped, then truncated.

    mixed       clip to [-256, 255], then drop k = 9 - bits low bits (floor)
    excitatory  clip to [0, 255], k = 8 - bits
    inhibitory  as excitatory on -w
    So 8-bit mixed weights are even, -256..254 (Lava `clip_weights`, `truncate_weights`).
    """
    mode = mode or sign_mode(weights)
    if mode == "mixed":
        k = 8 - bits + 1
        return (np.clip(weights, -256, 255) >> k) << k
    k = 8 - bits
    sign = 1 if mode == "excitatory" else -1
    return sign * ((np.clip(sign * weights, 0, 255) >> k) << k)


def mantissa_bits(weights: IntArray) -> int:
    """The fewest bits (1..8) at which a Dense or Sparse connection keeps every weight."""
    whole = as_int(weights)
    return next((b for b in range(1, 8) if np.array_equal(effective_weights(whole, b), whole)), 8)
