"""Checks an untrusted HDF5 file before anything in it is read.

Nothing may point out of the file, and what it holds, unpacked, must be bounded. With h5py's low
level, because its objects cost a tenth of a millisecond each.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
from h5py import h5d, h5g, h5l, h5o, h5t

from . import hdf5_strings as strings

MAX_BYTES = 8 << 30
"""Largest sum of a file's arrays, unpacked; a compressed file may claim more than memory holds."""
MAX_ITEMS = 100_000
MAX_DEPTH = 32
"""Groups nested deeper are refused; the formats need 4 levels, and 4 per subgraph."""
LEAST = 8
"""Bytes that a value takes at least once it is read."""
KINDS = (h5t.INTEGER, h5t.FLOAT, h5t.STRING, h5t.ENUM)
"""Classes of types that NIR and lava-dl write."""
SIZES = 8, 8
"""Bytes of an address and of a length, as h5py writes them."""


def faults(file: h5py.File) -> Iterator[str]:
    """What is wrong with the file: links to another place, data elsewhere, too much of anything.

    Ends after the first that has no bound.
    """
    if file.id.get_create_plist().get_sizes() != SIZES:
        yield "has addresses and lengths of other than 8 bytes"
        return
    with strings.content(file) as raw:
        at = next(strings.broken_collections(raw), None)
        if at is not None:
            yield f"the strings at byte {at} are damaged"
            return
        yield from _items(file, raw)


def top(path: Path) -> tuple[str, ...]:
    """The names in the root of a file, sorted; none if it is no HDF5 file that can be read."""
    try:
        with h5py.File(path, "r") as file:
            keys = [key for key, _ in zip(file.id, range(MAX_ITEMS), strict=False)]
            return tuple(sorted(key.decode("utf8", "replace") for key in keys))
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError):
        return ()


def _items(file: h5py.File, raw: strings.Content) -> Iterator[str]:
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
                yield f"{name} holds neither numbers nor strings"
            elif _unfiltered(item) > len(raw):
                yield f"{name} claims more values than the file holds"
            elif not strings.fit(raw, item):
                yield f"{name} has strings that are damaged"
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


def _bytes(item: h5d.DatasetID) -> int:
    values = item.get_space().get_simple_extent_npoints()
    return int(values) * max(LEAST, int(item.get_type().get_size()))
