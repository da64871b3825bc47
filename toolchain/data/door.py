"""The one door for samples: files, arrays, tensors and lists are checked alike, or refused.

Nothing is cut, rounded or clipped on the way in: what is no count of events is an error.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ground.arith import IntArray
from ..ground.errors import InputError
from .read import Data, checked, read
from .whole import not_negative

Samples = Any
"""Data or anything else with x and y, the path of a DATA file, or x alone: a numpy array, a torch
tensor, nested lists."""


def samples_of(given: Samples, where: str = "samples") -> Data:
    """`given` as checked Data: x [K, T, ...] and y [K] whole numbers, y or None.

    Raises InputError: SFX-E610 a file that cannot be read, SFX-E611 what holds no whole numbers of
    events (fractions, NaN, infinity, objects, wrong shapes, nothing). Whether they may be negative,
    the input says (`check_input`).
    """
    if isinstance(given, str | os.PathLike):
        return read(Path(given))
    named = hasattr(given, "x") and hasattr(given, "y")
    x, y = (given.x, given.y) if named else (given, None)
    return checked(_plain(x, "x", where), None if y is None else _plain(y, "y", where), where)


def calibration_of(given: Samples) -> Data:
    """`samples_of` for samples that choose scales.

    Raises InputError for silence (SFX-E618) and values below 0 (SFX-E616) too.
    """
    data = samples_of(given, "calibrate")
    not_negative(data.x, "calibrate")
    if not data.x.any():
        raise InputError(
            "SFX-E618",
            "the calibration samples contain no event, so no scale can be chosen on them",
            where="calibrate",
            hint="give training samples as the model sees them",
        )
    return data


def classes_fit(y: IntArray | None, classes: int, where: str = "y") -> None:
    """Raise InputError (SFX-E617) unless every label is a class of the model, 0..classes-1."""
    if y is None:
        return
    outside = np.flatnonzero((y < 0) | (y >= classes))
    if not outside.size:
        return
    first = int(outside[0])
    raise InputError(
        "SFX-E617",
        f"{outside.size} of {len(y)} labels lie outside 0..{classes - 1}, the {classes} classes of "
        f"the model: sample {first} has label {int(y[first])}",
        where=where,
        hint=_likely(y, classes),
    )


def _likely(y: IntArray, classes: int) -> str:
    low, high = int(y.min()), int(y.max())
    if low == 1 and high == classes:
        return "the labels seem to count from 1: subtract 1 (y - 1)"
    if low == -1 and high < classes:
        return "-1 usually marks samples without a label: leave them out, or leave y out"
    return f"labels are {low}..{high}: is this the data set that the model was trained on?"


def _plain(value: Any, name: str, where: str) -> NDArray[Any]:
    """A numpy array of what is given. Torch is not imported for it: a tensor brings itself."""
    try:
        return np.asarray(_from_torch(value))
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; tensors of other kinds
        raise InputError(
            "SFX-E611",
            f"{name} is not an array of numbers: {' '.join(str(error).split())}",
            where=where,
            hint="samples of equal shape, [samples, steps, ...]",
        ) from error


def _from_torch(value: Any) -> Any:
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        # numpy has no bfloat16; a float holds each of its values.
        return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    if isinstance(value, Sequence) and any(hasattr(v, "detach") for v in value):
        return [_from_torch(v) for v in value]
    return value
