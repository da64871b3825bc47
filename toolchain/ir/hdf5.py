"""A look at an HDF5 file of a stranger's before anything in it is read.

Nothing may point out of the file, and what it holds, unpacked, must be bounded. With h5py's low
level, because its objects cost a tenth of a millisecond each.
"""

from __future__ import annotations

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


def faults(file: h5py.File) -> Iterator[str]:
    """What is wrong with the file: links to another place, data elsewhere, too much of anything.

    Ends after the first that has no bound.
    """
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
