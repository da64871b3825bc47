"""One's own recordings: columns x, y, t and p in .csv, .txt, .npy, .npz and .mat.

    .csv, .txt  a line per event, numbers between commas, semicolons, tabs or spaces; lines that
                begin with # are passed over. A first line of names says the columns' order.
    .npy        a structured array with fields x, y, t, p, as Tonic's are; or numbers [M, 4]
    .npz        arrays x, y, t, p, as in SpikingJelly's `events_np`; or one array like a .npy
    .mat        arrays x, y, t, p, such as ASL-DVS's x, y, ts, pol

Names may be spelled in other usual ways (`NAMES`). Without names the order is x, y, t, p, or what
the caller says.
"""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ground.errors import InputError
from ...toolchain.ground.memory import require
from ...toolchain.ground.npy import NUMBERS, RECORDS, read_npy
from .checked import HINT, events_of
from .events import Recording
from .file import read_bytes, refuse
from .matlab import Columns, mat_arrays

CODE = "SFX-E140"
ORDER = "xytp"
NAMES = {
    "x": ("x", "col", "column"),
    "y": ("y", "row"),
    "t": ("t", "ts", "time", "times", "timestamp", "timestamps"),
    "p": ("p", "pol", "polarity", "on"),
}
_SEPARATORS = (",", ";", "\t")


def read_text(path: str | os.PathLike[str], unit: str = "us", order: str = ORDER) -> Recording:
    """A .csv or .txt file. Raises `InputError` SFX-E140."""
    try:
        text = read_bytes(path, CODE, HINT).decode()
    except UnicodeDecodeError as error:
        raise refuse(CODE, path, f"is not text: {error.reason}", HINT) from error
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    first = next(lines, "")
    separator = next((s for s in _SEPARATORS if s in first), None)
    words = [word.strip().strip('"').lower() for word in first.split(separator)]
    names = _by_name(words) or None
    if names is not None and len(names) < 4:
        raise refuse(CODE, path, f"has the columns {', '.join(words)}", HINT)
    rows = _numbers(text.splitlines(), separator, skip=first if names else None, path=path)
    return _recording(_ordered(rows, order, names, path), path, unit)


def read_npy_file(path: str | os.PathLike[str], unit: str = "us", order: str = ORDER) -> Recording:
    """A .npy file. Raises `InputError` SFX-E140, SFX-E605 where memory does not suffice."""
    content = read_bytes(path, CODE, HINT)
    array = _array(io.BytesIO(content), len(content), path)
    return _recording(_of_array(array, order, path), path, unit)


def read_npz_file(path: str | os.PathLike[str], unit: str = "us", order: str = ORDER) -> Recording:
    """A .npz file. Raises `InputError` SFX-E140, SFX-E605 where memory does not suffice."""
    arrays = npz_arrays(path, CODE, HINT)
    if len(arrays) == 1:
        return _recording(_of_array(next(iter(arrays.values())), order, path), path, unit)
    return _recording(named_columns(arrays, path), path, unit)


def read_mat_file(path: str | os.PathLike[str], unit: str = "us", order: str = ORDER) -> Recording:
    """A MATLAB file. Raises `InputError` SFX-E140, and SFX-E148 as `mat_arrays` does."""
    del order  # its arrays have names
    return _recording(named_columns(mat_arrays(path), path), path, unit)


def named_columns(arrays: Columns, path: str | os.PathLike[str]) -> Columns:
    """The arrays that are called x, y, t and p, or as `NAMES` says. Raises `InputError`."""
    named = _by_name([name.lower() for name in arrays])
    if len(named) < 4:
        raise refuse(CODE, path, f"has the arrays {', '.join(arrays)}", HINT)
    listed = list(arrays.values())
    return {name: listed[i].reshape(-1) for name, i in named.items()}


def npz_arrays(path: str | os.PathLike[str], code: str, hint: str) -> Columns:
    """All arrays of an .npz file of numbers. Raises `InputError` `code`, SFX-E605."""
    found = {}
    try:
        with zipfile.ZipFile(path) as file:
            for info in file.infolist():
                with file.open(info) as stream:
                    name = info.filename.removesuffix(".npy")
                    found[name] = read_npy(stream, info.file_size, _ask, NUMBERS + RECORDS)
    except InputError:
        raise
    except Exception as error:  # zipfile and zlib raise many kinds on damaged files
        raise refuse(code, path, f"cannot be read: {error}", hint) from error
    return found


def _array(stream: io.BytesIO, size: int, path: str | os.PathLike[str]) -> NDArray[Any]:
    try:
        return read_npy(stream, size, _ask, NUMBERS + RECORDS)
    except InputError:
        raise
    except (ValueError, OSError, MemoryError) as error:
        raise refuse(CODE, path, str(error), HINT) from error


def _ask(values: int, dtype: np.dtype[Any]) -> None:
    require(values * dtype.itemsize, "an array of events")


def _numbers(
    lines: Sequence[str], separator: str | None, skip: str | None, path: str | os.PathLike[str]
) -> NDArray[Any]:
    """Rows of whole numbers, or of floats where there are others."""
    at = next((i for i, line in enumerate(lines) if line == skip), -1) if skip is not None else -1
    body = lines[at + 1 :]
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # of a float read as a whole number
        warnings.simplefilter("ignore", UserWarning)  # of a file without a line
        for dtype in (np.int64, np.float64):
            try:
                return np.loadtxt(body, dtype, delimiter=separator, ndmin=2)
            except (ValueError, DeprecationWarning, OverflowError) as error:
                wrong = " ".join(str(error).split())
    raise refuse(CODE, path, f"has a line that is not numbers: {wrong}", HINT)


def _by_name(words: Sequence[str]) -> dict[str, int]:
    """Column -> its number, of those that have a name we know."""
    return {
        column: next(i for i, word in enumerate(words) if word in known)
        for column, known in NAMES.items()
        if any(word in known for word in words)
    }


def _of_array(array: NDArray[Any], order: str, path: str | os.PathLike[str]) -> Columns:
    fields = array.dtype.names
    if fields is None:
        return _ordered(array, order, None, path)
    names = _by_name([name.lower() for name in fields])
    if len(names) < 4:
        raise refuse(CODE, path, f"has the fields {', '.join(fields)}", HINT)
    return {name: array[fields[i]].reshape(-1) for name, i in names.items()}


def _ordered(
    rows: NDArray[Any], order: str, names: dict[str, int] | None, path: str | os.PathLike[str]
) -> Columns:
    if rows.size == 0:
        return {name: np.zeros(0, np.int64) for name in ORDER}
    if rows.ndim != 2 or (
        rows.shape[1] != 4 if names is None else rows.shape[1] <= max(names.values())
    ):
        raise refuse(CODE, path, f"has numbers {list(rows.shape)}", f"a row per event: {HINT}")
    if names is None:
        names = {name: order.index(name) for name in ORDER}
    return {name: rows[:, i] for name, i in names.items()}


def _recording(columns: Columns, path: str | os.PathLike[str], unit: str) -> Recording:
    return Recording(events_of(columns, path, CODE, unit))
