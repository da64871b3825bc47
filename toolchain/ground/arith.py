"""Integer rules that have no width of their own, as Lava computes them: functions on int64 arrays.

Every rule quotes the formula it implements; the formulas were established by running
lava-nc 0.10.0 with `Loihi2SimCfg(select_tag="fixed_pt")` and are checked against it by
`tests/conformance`. Rules that depend on a target's widths are in `arithmetic.py`. Nothing here
knows about graphs, neurons or files.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

INPUT_SHIFT = 6
"""Synaptic input and threshold are shifted left by 6 before they meet u and v."""

WORD_BITS = 32
"""Of the integers that Lava computes with, at all widths: numpy's int32 wraps there."""

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
    return wrap(x, WORD_BITS)


def truncate_shift(x: IntArray, bits: int) -> IntArray:
    """sign(x) * (|x| >> bits): shift right, rounding toward zero."""
    shifted: IntArray = np.sign(x) * (np.abs(x) >> bits)
    return shifted


def scale_exponent(x: IntArray, exponent: int | IntArray) -> IntArray:
    """x << e for e >= 0, x >> -e (floor) for e < 0, without a wrap."""
    e = np.asarray(exponent, dtype=np.int64)
    return np.where(e >= 0, x << np.maximum(e, 0), x >> np.maximum(-e, 0))


def sign_mode(weights: IntArray) -> SignMode:
    """Lava's choice where none is given: excitatory if min >= 0, inhibitory if max <= 0."""
    if weights.size == 0 or weights.min() >= 0:
        return "excitatory"
    return "inhibitory" if weights.max() <= 0 else "mixed"
