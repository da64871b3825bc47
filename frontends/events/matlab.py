"""MATLAB's `.mat`, version 5, with arrays of numbers: the files of ASL-DVS (Bi et al. 2019).

128 bytes of header (text, version 0x0100, "IM" or "MI" for the order of bytes), then elements: type
and size, uint32 each, and data padded to 8 bytes (data of 4 bytes or less may stand in the tag);
type 15 is an element packed by zlib, 14 an array: flags, sizes, name, numbers, each an element
(MathWorks, "MAT-File Format", level 5). Everything else is passed over.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .file import read_bytes, refuse

Columns = dict[str, NDArray[Any]]
CODE = "SFX-E148"
_HINT = "a MATLAB file of version 5 (not 7.3, which is HDF5), with arrays of numbers"
_LARGEST = 1 << 28
"""Bytes of an array, unpacked."""
_ARRAY, _PACKED = 14, 15
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
_CLASSES = range(6, 16)
"""Classes of arrays that hold numbers: mxDOUBLE to mxUINT64."""
_COMPLEX = 0x0800


class Damaged(ValueError):
    """An element that is not whole."""


@dataclass(frozen=True)
class Order:
    """Order of bytes: `<` or `>`."""

    mark: str

    def words(self, content: bytes, count: int, at: int) -> list[int]:
        """`count` numbers of 32 bits. Raises Damaged."""
        if at + 4 * count > len(content):
            raise Damaged(f"ends inside an element at byte {at}")
        return [int(w) for w in np.frombuffer(content, f"{self.mark}u4", count, at)]

    def elements(self, content: bytes, at: int = 0) -> Iterator[tuple[int, bytes]]:
        """(type, data) of what follows each other in `content`."""
        while at < len(content):
            word = self.words(content, 1, at)[0]
            if word >> 16:  # small: size and type in one word
                kind, size, start = word & 0xFFFF, word >> 16, at + 4
                after = at + 8
                if size > 4:
                    raise Damaged(f"a small element of {size} bytes")
            else:
                kind, size = self.words(content, 2, at)
                start = at + 8
                after = start + size + (-size % 8 if kind != _PACKED else 0)
            if start + size > len(content):
                raise Damaged(f"an element of {size} bytes at byte {at} of {len(content)}")
            yield kind, content[start : start + size]
            at = after


def mat_arrays(path: str | os.PathLike[str]) -> Columns:
    """Arrays of real numbers of a `.mat` file by name. Raises `InputError` SFX-E148."""
    content = read_bytes(path, CODE, _HINT)
    order = {b"IM": Order("<"), b"MI": Order(">")}.get(content[126:128])
    if order is None or not content.startswith(b"MATLAB 5.0"):
        raise refuse(CODE, path, f"begins with {content[:12]!r}", _HINT)
    try:
        return dict(_arrays(order, content))
    except (Damaged, zlib.error) as error:
        raise refuse(CODE, path, f"is damaged: {error}", _HINT) from error


def _arrays(order: Order, content: bytes) -> Iterator[tuple[str, NDArray[Any]]]:
    for kind, data in order.elements(content, 128):
        inner = _unpacked(data) if kind == _PACKED else None
        for k, array in order.elements(inner) if inner is not None else [(kind, data)]:
            if k == _ARRAY and (found := _array(order, array)) is not None:
                yield found


def _unpacked(data: bytes) -> bytes:
    stream = zlib.decompressobj()
    found = stream.decompress(data, _LARGEST)
    if not stream.eof:
        raise Damaged("a packed element that is too large, or cut off")
    return found


def _array(order: Order, data: bytes) -> tuple[str, NDArray[Any]] | None:
    """Name and numbers of an array, in MATLAB's order; None if they are not real numbers."""
    parts = list(_first(order.elements(data), 4))
    if len(parts) < 4 or len(parts[0][1]) < 4:
        return None
    flags = order.words(parts[0][1], 1, 0)[0]
    kind, numbers = parts[3]
    if flags & 0xFF not in _CLASSES or flags & _COMPLEX or kind not in _TYPES:
        return None
    dtype = np.dtype(order.mark + _TYPES[kind])
    if len(numbers) % dtype.itemsize:
        raise Damaged(f"{len(numbers)} bytes of numbers of {dtype.itemsize}")
    sizes = order.words(parts[1][1], len(parts[1][1]) // 4, 0)
    values = np.frombuffer(numbers, dtype)
    if int(np.prod([float(s) for s in sizes])) != len(values):
        raise Damaged(f"{len(values)} numbers for an array of {sizes}")
    return parts[2][1].decode("latin1"), values


def _first(items: Iterator[tuple[int, bytes]], count: int) -> Iterator[tuple[int, bytes]]:
    for _ in range(count):
        item = next(items, None)
        if item is None:
            return
        yield item
