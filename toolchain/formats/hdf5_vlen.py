"""Rows of unequal length in an untrusted HDF5 file, read without libhdf5.

An array of such rows holds a length and a place for each; the numbers lie in collections, the
"global heap" (HDF5 File Format Specification 3.0, III.E). libhdf5 makes room for whatever a
damaged length says, so it is asked only where the references lie.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5t
from numpy.typing import NDArray

from .hdf5_strings import COLLECTION, HEADER, REFERENCE, Content

_DEFLATE, _SHUFFLE = 1, 2
"""Filters of references that are undone here."""


class Damaged(ValueError):
    """A reference that leads nowhere."""


@dataclass(frozen=True)
class Rows:
    """Rows of numbers of one type: `raw` is the file, `references` uint8 [N, 16]."""

    raw: Content
    references: NDArray[np.uint8]
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return len(self.references)

    def row(self, index: int) -> NDArray[Any]:
        """Row `index`. Raises Damaged."""
        reference = self.references[index].tobytes()
        length = int.from_bytes(reference[:4], "little")
        if not length:
            return np.zeros(0, self.dtype)
        place, number = int.from_bytes(reference[4:12], "little"), reference[12:]
        start, size = _object(self.raw, place, int.from_bytes(number, "little"))
        if length * self.dtype.itemsize > size:
            raise Damaged(f"row {index} has {length} numbers in {size} bytes")
        return np.frombuffer(self.raw[start : start + length * self.dtype.itemsize], self.dtype)


def rows_of(raw: Content, item: h5d.DatasetID) -> Rows:
    """The rows of a one-dimensional array of them. Raises Damaged for anything else."""
    kind = item.get_type()
    if not isinstance(kind, h5t.TypeVlenID) or item.get_space().get_simple_extent_ndims() != 1:
        raise Damaged("no array of rows of unequal length")
    dtype = kind.get_super().dtype
    if dtype.kind not in "biuf":
        raise Damaged(f"rows of {dtype}")
    count = int(item.get_space().get_simple_extent_npoints())
    if count * REFERENCE > len(raw):
        raise Damaged(f"{count} rows in a file of {len(raw)} bytes")
    return Rows(raw, _references(raw, item, count), dtype)


def _references(raw: Content, item: h5d.DatasetID, count: int) -> NDArray[np.uint8]:
    created = item.get_create_plist()
    if created.get_layout() == h5d.CONTIGUOUS:
        start = item.get_offset()
        size = count * REFERENCE
        if count and (start is None or start + size > len(raw)):
            raise Damaged("references outside the file")
        return np.frombuffer(raw[start : start + size] if count else b"", np.uint8).reshape(-1, 16)
    if created.get_layout() != h5d.CHUNKED:
        raise Damaged("references that are kept in an unknown way")
    filters = [created.get_filter(i)[0] for i in range(created.get_nfilters())]
    if set(filters) - {_DEFLATE, _SHUFFLE}:
        raise Damaged(f"references packed by filters {filters}")
    rows = int(created.get_chunk()[0])
    found = np.zeros((count, REFERENCE), np.uint8)
    for i in range(item.get_num_chunks()):
        info = item.get_chunk_info(i)
        first = int(info.chunk_offset[0])
        part = raw[info.byte_offset : info.byte_offset + info.size]
        applied = [f for bit, f in enumerate(filters) if not info.filter_mask >> bit & 1]
        whole = _unfiltered(part, applied, rows * REFERENCE)
        if first >= count:
            continue
        kept = np.frombuffer(whole, np.uint8).reshape(-1, REFERENCE)[: count - first]
        found[first : first + len(kept)] = kept
    return found


def _unfiltered(part: bytes, filters: list[int], size: int) -> bytes:
    """A chunk of `size` bytes; filters are undone in reverse order."""
    for kind in reversed(filters):
        if kind == _DEFLATE:
            part = zlib.decompressobj().decompress(part, size)
        else:
            part = np.frombuffer(part, np.uint8).reshape(REFERENCE, -1).T.tobytes()
    if len(part) != size:
        raise Damaged(f"a part of {len(part)} bytes, not {size}")
    return part


def _object(raw: Content, place: int, number: int) -> tuple[int, int]:
    """First byte and size of an object of the collection at `place`."""
    if place < 0 or raw[place : place + len(COLLECTION)] != COLLECTION:
        raise Damaged(f"no collection at byte {place}")
    end = place + int.from_bytes(raw[place + 8 : place + 16], "little")
    if end > len(raw):
        raise Damaged(f"a collection up to byte {end} of {len(raw)}")
    at = place + HEADER
    while at + HEADER <= end:
        index = int.from_bytes(raw[at : at + 2], "little")
        size = int.from_bytes(raw[at + 8 : at + 16], "little")
        if not index:
            break  # what is left free
        if at + HEADER + size > end:
            raise Damaged(f"an object of {size} bytes at byte {at}")
        if index == number:
            return at + HEADER, size
        at += HEADER + -(-size // 8) * 8
    raise Damaged(f"no object {number} in the collection at byte {place}")


def dataset(file: h5py.File, path: str) -> h5d.DatasetID:
    """The array at `path`, reached by hard links only. Raises Damaged."""
    group: Any = file.id
    for name in path.split("/"):
        key = name.encode()
        if not isinstance(group, h5g.GroupID) or key not in group:
            raise Damaged(f"has no array {path}")
        if group.links.get_info(key).type != h5l.TYPE_HARD:
            raise Damaged(f"{path} is a link to another place")
        group = h5o.open(group, key)
    if not isinstance(group, h5d.DatasetID):
        raise Damaged(f"{path} is no array")
    created = group.get_create_plist()
    if created.get_layout() == h5d.VIRTUAL or created.get_external_count():
        raise Damaged(f"{path} keeps its data in another file")
    return group
