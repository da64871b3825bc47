"""The samples of a DATA file without reading them all: mapped where they lie uncompressed."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..ground.npy import read_npy
from .read import Data, read

_MOST_NAMES = 1 << 20
"""Bytes of the classes' names that are read."""

_LOCAL = 30
"""Bytes of a zip member's own header before its name (PKWARE APPNOTE 4.3.7)."""


def mapped(path: Path) -> Data:
    """The samples of a DATA file; `x` is mapped if it was written with `compress=False`.

    Raises `InputError` as `read` does (a mapped x is checked only in its type and shape).
    """
    place = _place(path)
    if place is None:
        return read(path)
    offset, shape, dtype = place
    x: NDArray[Any] = np.memmap(path, dtype, "r", offset, shape)
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("y.npy")
            with archive.open(info) as stream:
                y = read_npy(stream, info.file_size)
    except KeyError:
        return Data(x, None)
    except Exception:
        return read(path)  # which says what is wrong
    if y.shape != shape[:1] or y.dtype.kind not in "iu":
        return read(path)
    return Data(x, y.astype(np.int64))


def _place(path: Path) -> tuple[int, tuple[int, ...], np.dtype[Any]] | None:
    """Offset, shape and type of an uncompressed whole-number x; None if there is none to map."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("x.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            return None
        with open(path, "rb") as file:
            file.seek(info.header_offset + _LOCAL - 4)
            lengths = np.frombuffer(file.read(4), "<u2")
            file.seek(int(lengths.sum()), 1)
            start = file.tell()
            if npy.read_magic(file) != (1, 0):
                return None
            shape, fortran, dtype = npy.read_array_header_1_0(file)
            offset = file.tell()
    except (
        Exception
    ):  # a damaged file, for which zipfile raises many things: `read` says what it is
        return None
    size = int(np.prod([int(s) for s in shape], dtype=object)) * dtype.itemsize
    whole = offset - start + size == info.file_size and start + info.file_size <= _bytes(path)
    usable = dtype.kind in "iu" and not fortran and len(shape) >= 2 and size > 0
    return (offset, shape, dtype) if whole and usable else None


def _bytes(path: Path) -> int:
    return path.stat().st_size


def classes(path: Path) -> tuple[str, ...]:
    """The names of the classes, where the file has them as `sfx data convert` wrote them."""
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo("classes.npy")
            if info.file_size > _MOST_NAMES:
                return ()
            with archive.open(info) as stream:
                names = npy.read_array(stream, allow_pickle=False)
    except Exception:  # none, or a damaged file: reading its samples says what is wrong
        return ()
    return tuple(map(str, names)) if names.dtype.kind == "U" and names.ndim == 1 else ()
