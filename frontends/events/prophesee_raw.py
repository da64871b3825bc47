"""Prophesee's `.raw`: EVT 2.0 and EVT 3.0, as its cameras send them.

Header lines that begin with '%': `% evt 3.0` or `% format EVT3;height=720;width=1280`, and often
`% geometry 1280x720`; then words, little endian (docs.prophesee.ai, "EVT2.0 Format", "EVT3.0
Format"). A word's highest 4 bits are its type. What is sent before the first time, and triggers and
other types, are passed over.
"""

from __future__ import annotations

import os
import re

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ground.memory import require
from .checked import events_of
from .events import Recording
from .file import head_lines, read_bytes, refuse

CODE = "SFX-E144"
_HINT = (
    "EVT 2.0 and EVT 3.0 are read: a .raw file has '% evt 3.0' or '% format EVT3' among lines "
    "that begin with '%'"
)
_BYTES = {"2": 4, "2.0": 4, "3": 2, "3.0": 2}
"""Bytes of a word, by version."""
_TAKEN = 120
"""Bytes that a word takes while it is read."""
Columns = dict[str, NDArray[np.int64]]


def read_raw(path: str | os.PathLike[str]) -> Recording:
    """The CD events of one file, in its order. Raises `InputError` SFX-E144, SFX-E605."""
    content = read_bytes(path, CODE, _HINT)
    lines, start = head_lines(content)
    text = "\n".join(lines)
    found = re.search(r"^% *(?:evt +|format +EVT)([\d.]+)", text, re.M | re.I)
    version = found[1] if found else "(none)"
    if version not in _BYTES:
        raise refuse(CODE, path, f"is of EVT version {version}", _HINT)
    size = _BYTES[version]
    body = content[start:]
    if len(body) % size:
        what = f"has {len(body)} bytes of words, not a multiple of {size}"
        raise refuse(CODE, path, what, _HINT)
    require(_TAKEN * (len(body) // size), "reading a recording", where=str(path))
    words = np.frombuffer(body, f"<u{size}").astype(np.int64)
    columns = _evt2(words) if size == 4 else _evt3(words)
    return Recording(events_of(columns, path, CODE), _geometry(text))


def _geometry(text: str) -> tuple[int, int] | None:
    """(rows, columns) where the header says it."""
    if whole := re.search(r"^% *geometry +(\d{1,5})x(\d{1,5})", text, re.M | re.I):
        size = int(whole[2]), int(whole[1])
    else:
        sides = [re.search(rf"^% *format .*\b{n}=(\d{{1,5}})", text, re.M) for n in _SIDES]
        rows, columns = (int(side[1]) if side else 0 for side in sides)
        size = rows, columns
    return size if min(size) > 0 else None


_SIDES = ("height", "width")


def _evt2(word: NDArray[np.int64]) -> Columns:
    """32-bit words: 0 CD OFF, 1 CD ON (27..22 time, 21..11 x, 10..0 y); 8 upper 28 bits of time."""
    kind = word >> 28
    high = _last(kind == 8)
    time = _unrolled(word & 0xFFFFFFF, kind == 8, 28)
    chosen = np.flatnonzero((kind <= 1) & (high >= 0))
    w = word[chosen]
    t = time[high[chosen]] << 6 | w >> 22 & 0x3F
    return {"x": w >> 11 & 0x7FF, "y": w & 0x7FF, "p": w >> 28, "t": t}


def _evt3(word: NDArray[np.int64]) -> Columns:
    """16-bit words: 0 row, 2 a column and its polarity (11), 3 a base column for vectors of 12 (4)
    or 8 (5) columns, which moves on behind each; 6 lower and 8 upper 12 bits of time.

    An upper time that differs from the last one sets the lower one to 0, as in Prophesee's OpenEB.
    """
    kind, value = word >> 12, word & 0xFFF
    row, base, low, high = (_last(kind == k) for k in (0, 3, 6, 8))
    upper = _unrolled(value, kind == 8, 12)
    moved = np.append(0, np.cumsum(np.select([kind == 4, kind == 5], [12, 8], 0)))[:-1]

    single = np.flatnonzero((kind == 2) & (row >= 0) & (high >= 0))
    vector = np.flatnonzero(((kind == 4) | (kind == 5)) & (row >= 0) & (high >= 0) & (base >= 0))
    bits = np.where(kind[vector] == 5, value[vector] & 0xFF, value[vector])
    which, bit = np.nonzero(bits[:, None] >> np.arange(12) & 1)
    vector = vector[which]
    x0 = (value[base[vector]] & 0x7FF) + moved[vector] - moved[base[vector]]

    index = np.append(single, vector)
    x = np.append(value[single] & 0x7FF, x0 + bit)
    p = np.append(value[single] >> 11, value[base[vector]] >> 11)
    order = np.argsort(index * 16 + np.append(np.zeros(len(single), np.int64), bit))
    index = index[order]
    changed = _last(np.diff(upper, prepend=-1) != 0)[index]
    lower = np.where(low[index] > changed, value[low[index]], 0)
    t = upper[high[index]] << 12 | lower
    return {"x": x[order], "y": value[row[index]] & 0x7FF, "p": p[order], "t": t}


def _last(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """For each word the number of the last one that is marked, itself included; -1 before it."""
    return np.maximum.accumulate(np.where(marked, np.arange(len(marked)), -1))


def _unrolled(value: NDArray[np.int64], marked: NDArray[np.bool_], bits: int) -> NDArray[np.int64]:
    """The last marked value at each word; a fall by half of its range or more is a full turn."""
    times = value[marked]
    turns = np.cumsum(np.diff(times, prepend=times[:1]) <= -(1 << bits - 1))
    found = np.zeros(len(value), np.int64)
    found[marked] = times + (turns << bits)
    last = _last(marked)
    return np.where(last >= 0, found[last], -1)
