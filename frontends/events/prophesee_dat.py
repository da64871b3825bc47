"""Prophesee's `.dat`, version 2: what N-CARS, Gen1 and 1 Mpx are published in.

Header lines that begin with '%' (`% Version 2`, often `% Height 240`, `% Width 304`), then a byte
of type (0 or 12, both CD events), a byte of size (8), then 8 bytes per event, little endian
(docs.prophesee.ai, "DAT file format"):

    uint32 microseconds
    uint32 bits 13..0 x, 27..14 y, 31..28 polarity, 1 ON

Times have 32 bits: a fall by more than half of them is the clock that began again.
"""

from __future__ import annotations

import os
import re

import numpy as np

from .checked import events_of
from .events import Recording
from .file import head_lines, read_bytes, refuse

CODE = "SFX-E143"
_TYPES = (0x00, 0x0C)
_BYTES = 8
_HINT = (
    "a .dat file has lines that begin with '%', '% Version 2' among them, then 8 bytes per event"
)


def read_dat(path: str | os.PathLike[str]) -> Recording:
    """The CD events of one file, in its order. Raises `InputError` SFX-E143."""
    content = read_bytes(path, CODE, _HINT)
    lines, start = head_lines(content)
    if not lines:
        raise refuse(CODE, path, f"begins with {content[:12]!r}", _HINT)
    found = dict(re.findall(r"% *(Version|Height|Width) +(\d{1,9})\s*$", "\n".join(lines), re.M))
    if found.get("Version") != "2":
        raise refuse(CODE, path, f"is of version {found.get('Version', '(none)')}", _HINT)
    kind = tuple(content[start : start + 2])
    if len(kind) < 2 or kind[0] not in _TYPES or kind[1] != _BYTES:
        raise refuse(CODE, path, f"has events of (type, size) {kind}", _HINT)
    body = content[start + 2 :]
    if len(body) % _BYTES:
        what = f"has {len(body)} bytes of events, not a multiple of {_BYTES}"
        raise refuse(CODE, path, what, _HINT)
    time, word = np.frombuffer(body, "<u4").reshape(-1, 2).astype(np.int64).T
    loops = np.cumsum(np.diff(time, prepend=time[:1]) < -(1 << 31))
    columns = {"x": word & 0x3FFF, "y": word >> 14 & 0x3FFF, "p": word >> 28}
    events = events_of({**columns, "t": time + (loops << 32)}, path, CODE)
    size = (int(found.get("Height", 0)), int(found.get("Width", 0)))
    return Recording(events, size if min(size) > 0 else None)
