"""A look at an HDF5 file of a stranger's before anything in it is read.

Nothing may point out of the file, and what it holds, unpacked, must be bounded. With h5py's low
level, because its objects cost a tenth of a millisecond each.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import h5py
from h5py import h5d, h5g, h5l, h5o

MAX_BYTES = 8 << 30
"""Largest sum of a file's arrays, unpacked; a compressed file may claim more than memory holds."""
MAX_ITEMS = 100_000
MAX_DEPTH = 32
"""Groups nested deeper are refused; the formats need 4 levels, and 4 per subgraph."""
LEAST = 8
"""Bytes that a value takes at least once it is read."""
TEXTS = b"GCOL\x01"
"""How a collection of texts (global heap, version 1) starts."""


def faults(file: h5py.File) -> Iterator[str]:
    """What is wrong with the file: links to another place, data elsewhere, too much of anything.

    Ends after the first that has no bound.
    """
    if bad := next(_broken_texts(file), None):
        yield bad
        return
    total = items = 0
    todo = [("", file.id)]
    while todo:
        path, group = todo.pop()
        for key in group:
            name = f"{path}/{key.decode('utf8', 'replace')}"
            items += 1
            if items > MAX_ITEMS:
                yield f"holds more than {MAX_ITEMS} items"
                return
            if group.links.get_info(key).type != h5l.TYPE_HARD:
                yield f"{name} is a link to another place"
                continue
            item = h5o.open(group, key)
            if isinstance(item, h5g.GroupID):
                if name.count("/") > MAX_DEPTH:
                    yield f"{name} is nested more than {MAX_DEPTH} deep"
                    return
                todo.append((name, item))
            elif not isinstance(item, h5d.DatasetID):
                yield f"{name} is neither a group nor an array"
            elif _elsewhere(item):
                yield f"{name} keeps its data in another file"
            else:
                total += _bytes(item)
    if total > MAX_BYTES:
        yield f"unpacks to {total} bytes, more than the limit of {MAX_BYTES}"


def _elsewhere(item: h5d.DatasetID) -> bool:
    created = item.get_create_plist()
    return bool(created.get_layout() == h5d.VIRTUAL or created.get_external_count())


def _bytes(item: h5d.DatasetID) -> int:
    values = item.get_space().get_simple_extent_npoints()
    return int(values) * max(LEAST, int(item.get_type().get_size()))


def _broken_texts(file: h5py.File) -> Iterator[str]:
    """Collections of texts in which libhdf5 would walk forever or out of bounds.

    Walked as in the HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global
    Heap": object after object, padded to 8 bytes; object 0 is what is left free. A free object of
    length 0, which a wrong length before it brings about, is where libhdf5 1.14 never ends.
    """
    _, length = file.id.get_create_plist().get_sizes()
    with open(file.filename, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as m:
        at, before = m.find(TEXTS), 0
        while at >= 0:
            size = int.from_bytes(m[at + 8 : at + 8 + length], "little")
            if size <= len(m) - at:  # else it is no collection, or libhdf5 finds its end missing
                if at < before or not _walks(m, at, at + size, length):
                    yield f"the texts at byte {at} are damaged"
                before = at + size
            at = m.find(TEXTS, at + 1)


def _walks(m: mmap.mmap, at: int, end: int, length: int) -> bool:
    """The objects of a collection follow each other up to its end; `length`: bytes of a length."""
    head = _padded(8 + length)
    at += head
    while at + head <= end:
        index = int.from_bytes(m[at : at + 2], "little")
        size = int.from_bytes(m[at + 8 : at + 8 + length], "little")
        step = head + _padded(size) if index else size
        if step == 0 or step > end - at:
            return False
        at += step
    return True


def _padded(size: int) -> int:
    return -(-size // 8) * 8
