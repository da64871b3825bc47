"""What samples and labels are made of: whole numbers. Everything else is refused, never rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ground.arith import IntArray
from ..ground.errors import InputError

FORM = "x is [samples, steps, ...] of event counts, y (optional) is [samples] of class numbers"
BIN = (
    "bin events into counts per pixel, polarity and step (sfx data convert); pixels are given as "
    "they are, 0..255: divide in the model"
)
PIXELS = (
    "images are given as pixels 0..255: divide by 255 and normalise in the model (docs/data.md "
    "folds both into its first layer)"
)
MOST = np.iinfo(np.int32).max
"""No input takes so many events in a step; floats above it are not exact integers for long."""


def whole_events(x: NDArray[Any], where: str) -> NDArray[Any]:
    """x as integers: of its own type if it has one. Raises InputError (SFX-E611)."""
    if x.dtype.kind not in "biuf":
        raise InputError(
            "SFX-E611", f"x has type {x.dtype}; numbers are needed", where=where, hint=FORM
        )
    if x.ndim < 2 or (len(x) and not x.size):
        raise InputError("SFX-E611", f"x has shape {x.shape}", where=where, hint=FORM)
    if len(x) == 0:
        raise InputError("SFX-E611", "x holds no sample", where=where, hint=FORM)
    if x.dtype.kind == "b":
        return x.astype(np.uint8)
    if x.dtype.kind == "f" and not _whole(x):
        what = "x holds fractions or NaN; events are whole numbers"
        hint = PIXELS if _divided(x) else BIN
        raise InputError("SFX-E611", what, where=where, hint=hint)
    low, high = x.min().item(), x.max().item()  # Python's: a half float cannot be compared to MOST
    if high > MOST:
        what = f"x reaches {high:g}, more events than any input takes in one step"
        raise InputError("SFX-E611", what, where=where, hint=BIN)
    if low < -MOST:
        what = f"x reaches down to {low:g}, less than any input takes"
        raise InputError("SFX-E611", what, where=where, hint=BIN)
    return x if x.dtype.kind in "iu" else x.astype(np.int64)


def not_negative(x: NDArray[Any], where: str) -> None:
    """Raises InputError (SFX-E616) for values below 0, which only some inputs take."""
    low = x.min(initial=0)
    if low < 0:
        what = f"x reaches down to {low:g}; counts of events are not negative"
        hint = "give OFF events a channel of their own"
        raise InputError("SFX-E616", what, where=where, hint=hint)


def _whole(x: NDArray[Any]) -> bool:
    """True for whole numbers; NaN equals nothing, infinity is none."""
    return bool(np.isfinite(x).all()) and np.array_equal(x, np.rint(x))


def _divided(x: NDArray[Any]) -> bool:
    """Whether x looks like an image that was divided by 255, and perhaps normalised."""
    return bool(np.isfinite(x).all()) and float(np.abs(x).max()) <= 4


def whole_labels(y: NDArray[Any], samples: int, where: str) -> IntArray:
    """y [samples] as int64. Raises InputError (SFX-E611)."""
    if y.dtype.kind in "iu" and y.shape == (samples,):
        return y.astype(np.int64)
    hint = FORM
    if y.dtype.kind == "f" and y.shape == (samples,):
        hint = "class numbers are whole: y.astype(int), if that is what these are"
    if y.ndim == 2 and len(y) == samples:
        hint = "one-hot rows become class numbers by y.argmax(axis=1)"
    raise InputError(
        "SFX-E611",
        f"y has shape {y.shape} and type {y.dtype} for {samples} samples",
        where=where,
        hint=hint,
    )
