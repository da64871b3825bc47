"""Every format of a single recording, by the suffix of its file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...toolchain.ground.errors import InputError
from .aedat4 import read_aedat4
from .checked import UNITS
from .columns import ORDER, read_mat_file, read_npy_file, read_npz_file, read_text
from .event_stream import read_es
from .events import Recording
from .prophesee_dat import read_dat
from .prophesee_raw import read_raw

Path_ = str | os.PathLike[str]


@dataclass(frozen=True)
class Format:
    """A kind of file.

    about    what is in it, for the documentation
    columns  reader of files that say neither unit nor order of their columns by themselves
    read     reader of all others
    """

    about: str
    read: Callable[[Path_], Recording] | None = None
    columns: Callable[[Path_, str, str], Recording] | None = None


_TEXT = Format(
    "a line per event: x, y, t, p, in the order of a first line of names", columns=read_text
)
FORMATS: dict[str, Format] = {
    ".csv": _TEXT,
    ".txt": _TEXT,
    ".npy": Format(
        "structured array of Tonic's with x, y, t, p; or numbers [M, 4]", columns=read_npy_file
    ),
    ".npz": Format("arrays x, y, t, p, as SpikingJelly's `events_np`", columns=read_npz_file),
    ".mat": Format("MATLAB 5 with arrays x, y, t, p", columns=read_mat_file),
    ".aedat4": Format("AEDAT 4.0 of DV and dv-processing, plain, LZ4 or Zstandard", read_aedat4),
    ".dat": Format("Prophesee's CD events, version 2", read_dat),
    ".raw": Format("Prophesee's EVT 2.0 and EVT 3.0", read_raw),
    ".es": Format("Event Stream version 2, DVS events", read_es),
}


def read_recording(path: Path_, unit: str = "us", order: str = ORDER) -> Recording:
    """The events of one file, of whatever format its suffix names.

    unit, order  of times and of columns, where the file does not say it: .csv, .txt, .npy, .npz

    Raises `InputError` SFX-E141 for another suffix, unit or order, else that of the reader.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        hint = f"recordings end in {', '.join(FORMATS)}"
        raise InputError(
            "SFX-E141", f"'{suffix}' is no suffix of recordings", where=str(path), hint=hint
        )
    if unit not in UNITS or sorted(order) != sorted(ORDER):
        hint = f"units: {', '.join(UNITS)}; an order has each of x, y, t, p once, such as txyp"
        raise InputError("SFX-E141", f"there is no unit '{unit}' or no order '{order}'", hint=hint)
    found = FORMATS[suffix]
    if found.columns is not None:
        return found.columns(path, unit, order)
    assert found.read is not None
    return found.read(path)
