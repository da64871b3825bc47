"""DATA files: `.npz` with `x` [K, T, *input shape] (whole numbers) and, if known, `y` [K]."""

from .door import Samples, calibration_of, classes_fit, samples_of
from .read import Data, at_every_step, check_input, read
from .whole import not_negative

__all__ = [
    "Data",
    "Samples",
    "at_every_step",
    "calibration_of",
    "check_input",
    "classes_fit",
    "not_negative",
    "read",
    "samples_of",
]
