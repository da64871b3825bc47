"""ASL-DVS (Bi et al. 2019): MATLAB files with x, y, ts and pol, from a DAVIS240.

Columns and rows are reversed, as in SpikingJelly (column 239 - x, row 179 - y). Tonic reverses the
rows alone, so its images are mirrored.
"""

from __future__ import annotations

import os

from .checked import events_of, inside
from .columns import CODE, named_columns
from .events import Events
from .matlab import mat_arrays

SIZE = (180, 240)
"""Rows and columns of a DAVIS240."""


def read_asl_dvs(path: str | os.PathLike[str]) -> Events:
    """The events of one file, in its order; t from the earliest.

    Raises `InputError` SFX-E140, SFX-E142, SFX-E148.
    """
    found = inside(events_of(named_columns(mat_arrays(path), path), path, CODE), SIZE, path)
    return Events(SIZE[1] - 1 - found.x, SIZE[0] - 1 - found.y, found.p, found.t)
