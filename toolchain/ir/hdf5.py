"""A look at an HDF5 file of a stranger's before anything in it is read.

Nothing may point out of the file, and what it holds, unpacked, must be bounded. With h5py's low
level, because its objects cost a tenth of a millisecond each.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from contextlib import contextmanager

import h5py
import numpy as np
from h5py import h5d, h5g, h5l, h5o, h5t

MAX_BYTES = 8 << 30
"""Largest sum of a file's arrays, unpacked; a compressed file may claim more than memory holds."""
MAX_ITEMS = 100_000
MAX_DEPTH = 32
"""Groups nested deeper are refused; the formats need 4 levels, and 4 per subgraph."""
LEAST = 8
"""Bytes that a value takes at least once it is read."""
TEXTS = b"GCOL\x01"
"""How a collection of texts (global heap, version 1) starts."""
KINDS = (h5t.INTEGER, h5t.FLOAT, h5t.STRING, h5t.ENUM)
"""Types of values that NIR and lava-dl write."""
SIZES = 8, 8
"""Bytes of an address and of a length, as h5py writes them."""
TEXT = 16
"""Bytes that stand for a text of any length: its length in 4, its place in the rest."""
HEAD = 16
"""Bytes before a collection's first text, and before each text."""
MOST_TEXTS = 1 << 40
"""Bytes of a collection, or it is a number that looks like one: no memory holds it."""


def faults(file: h5py.File) -> Iterator[str]:
    """What is wrong with the file: links to another place, data elsewhere, too much of anything.

    Ends after the first that has no bound.
    """
    if file.id.get_create_plist().get_sizes() != SIZES:
        yield "has addresses and lengths of other than 8 bytes"
        return
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
            elif item.get_type().get_class() not in KINDS:
                yield f"{name} holds neither numbers nor texts"
            elif _unfiltered(item) > file.id.get_filesize():
                yield f"{name} claims more values than the file holds"
            elif not _short_texts(file, item):
                yield f"{name} has texts that are damaged"
                return
            else:
                total += _bytes(item)
    if total > MAX_BYTES:
        yield f"unpacks to {total} bytes, more than the limit of {MAX_BYTES}"


def _elsewhere(item: h5d.DatasetID) -> bool:
    created = item.get_create_plist()
    return bool(created.get_layout() == h5d.VIRTUAL or created.get_external_count())


def _unfiltered(item: h5d.DatasetID) -> int:
    """Bytes that must be in the file as they are; compressed ones may unpack to more."""
    if item.get_create_plist().get_layout() != h5d.CONTIGUOUS:
        return 0
    return int(item.get_space().get_simple_extent_npoints()) * int(item.get_type().get_size())


def _short_texts(file: h5py.File, item: h5d.DatasetID) -> bool:
    """The texts fit into the file: libhdf5 makes room for a length before it looks for the text."""
    kind = item.get_type()
    if not isinstance(kind, h5t.TypeStringID) or not kind.is_variable_str():
        return True
    if not item.get_storage_size():
        return True  # nothing was written
    start = item.get_offset()
    if start is None:
        return False  # in chunks or inside the header, which neither nir nor lava-dl writes
    size = TEXT * int(item.get_space().get_simple_extent_npoints())
    with _content(file) as raw:
        found = bytes(raw[start : start + size])
    lengths = np.frombuffer(found[: len(found) // TEXT * TEXT], "<u4")[:: TEXT // 4]
    return len(found) == size and int(lengths.sum(dtype=np.int64)) <= file.id.get_filesize()


def _bytes(item: h5d.DatasetID) -> int:
    values = item.get_space().get_simple_extent_npoints()
    return int(values) * max(LEAST, int(item.get_type().get_size()))


def _broken_texts(file: h5py.File) -> Iterator[str]:
    """Collections of texts in which libhdf5 would walk forever or out of bounds.

    Walked as in the HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global
    Heap": object after object, padded to 8 bytes; object 0 is what is left free. A free object of
    length 0, which a wrong length before it brings about, is where libhdf5 1.14 never ends.
    """
    with _content(file) as m:
        at, before = m.find(TEXTS), 0
        while at >= 0:
            size = int.from_bytes(m[at + 8 : at + 16], "little")
            if size < MOST_TEXTS:
                if size > len(m) - at or at < before or not _walks(m, at, at + size):
                    yield f"the texts at byte {at} are damaged"
                before = at + size
            at = m.find(TEXTS, at + 1)


@contextmanager
def _content(file: h5py.File) -> Iterator[mmap.mmap | bytes]:
    """The bytes of the file, also of one that was opened in memory."""
    if file.driver == "fileobj":
        yield file.id.get_file_image()
        return
    with open(file.filename, "rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as m:
        yield m


def _walks(m: mmap.mmap | bytes, at: int, end: int) -> bool:
    """The objects of a collection follow each other up to its end."""
    at += HEAD
    while at + HEAD <= end:
        index = int.from_bytes(m[at : at + 2], "little")
        size = int.from_bytes(m[at + 8 : at + 16], "little")
        step = HEAD + -(-size // 8) * 8 if index else size
        if step == 0 or step > end - at:
            return False
        at += step
    return True
