"""Strings in an untrusted HDF5 file, checked before libhdf5 relies on their lengths.

Strings of variable length lie in collections, the "global heap" (HDF5 File Format Specification
3.0, III.E); an array of them holds their lengths and places. libhdf5 1.14 walks for ever through a
collection with a wrong length in it, and makes room for a length before it looks for the string.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

import h5py
import numpy as np
from h5py import h5d, h5t

Content = mmap.mmap | bytes

COLLECTION = b"GCOL\x01"
"""How a collection starts (version 1)."""
LARGEST_COLLECTION = 1 << 40
"""Bytes; what claims more is a number that looks like a collection, and no memory holds it."""
HEADER = 16
"""Bytes before a collection's first object, and before the content of each."""
REFERENCE = 16
"""Bytes in an array for a string: its length in 4, its place in the rest."""


@contextmanager
def content(file: h5py.File) -> Iterator[Content]:
    """The bytes of the file, also of one that was opened in memory."""
    if file.driver == "fileobj":
        yield file.id.get_file_image()
        return
    with open(file.filename, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as m:
        yield m


def broken_collections(raw: Content) -> Iterator[int]:
    """Where there are collections whose objects do not follow each other up to the end."""
    at, before = raw.find(COLLECTION), 0
    while at >= 0:
        size = int.from_bytes(raw[at + 8 : at + 16], "little")
        if size < LARGEST_COLLECTION:
            if size > len(raw) - at or at < before or not _walks(raw, at, at + size):
                yield at
            before = at + size
        at = raw.find(COLLECTION, at + 1)


def _walks(raw: Content, at: int, end: int) -> bool:
    """As libhdf5 walks: objects are padded to 8 bytes, object 0 is what is left free."""
    at += HEADER
    while at + HEADER <= end:
        index = int.from_bytes(raw[at : at + 2], "little")
        size = int.from_bytes(raw[at + 8 : at + 16], "little")
        step = HEADER + -(-size // 8) * 8 if index else size
        if step == 0 or step > end - at:
            return False
        at += step
    return True


def fit(raw: Content, item: h5d.DatasetID) -> bool:
    """Whether the strings of an array, if it holds any, are together no longer than the file."""
    kind = item.get_type()
    if not isinstance(kind, h5t.TypeStringID) or not kind.is_variable_str():
        return True
    if not item.get_storage_size():
        return True  # nothing was written
    start = item.get_offset()
    if start is None:
        return False  # in chunks or inside the header, which neither nir nor lava-dl writes
    size = REFERENCE * int(item.get_space().get_simple_extent_npoints())
    found = raw[start : start + size]
    if len(found) < size:
        return False
    lengths = np.frombuffer(found, "<u4")[:: REFERENCE // 4]
    return int(lengths.sum(dtype=np.int64)) <= len(raw)
