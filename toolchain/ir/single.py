"""float32, in which every framework computes: where a membrane meets a threshold exactly.

A Graph holds float64 numbers, and its sums are float64, but the framework's membrane is a float32
number, and so is the threshold that it is compared with. A weight of 0.7 and a threshold of 0.7 are
the same float32 number, not the same float64 number; 0.1 + 0.1 + 0.1 reaches 0.3 in float32 only.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from .graph import FloatArray

TIE = 2.0**-22
"""Relative distance of two float32 numbers that are meant to be the same: a few roundings."""


def single(values: ArrayLike) -> FloatArray:
    """The nearest float32 numbers, as float64."""
    return np.asarray(values, np.float32).astype(np.float64)


def reached(threshold: float) -> tuple[float, bool]:
    """(threshold, whether v >= threshold is meant) of a number that is compared with v > number.

    NIR knows the strict comparison only. A framework that fires on >= is written with the next
    smaller float64 number, which no framework's float32 constant is.
    """
    above = math.nextafter(threshold, math.inf)
    meant = _is_single(above) and not _is_single(threshold)
    return (above, True) if meant else (threshold, False)


def strict(threshold: float) -> float:
    """The number with which v > number says v >= threshold."""
    return math.nextafter(threshold, -math.inf)


def _is_single(value: float) -> bool:
    return float(np.float32(value)) == value
