"""AEDAT 3.1: the files of DVS128 Gesture (Amir et al. 2017), from a DVS128 camera.

Header lines `#!AER-DAT3.1`, ..., `#!END-HEADER`, then packets, little endian throughout
(docs.inivation.com, "AEDAT 3.1"; libcaer `events/common.h`, `events/polarity.h`). A packet is 28
bytes of header and `capacity` events of `size` bytes, of which the first `number` are in use:

    int16 type (1: polarity), int16 source, int32 size, int32 time offset, int32 time overflow,
    int32 capacity, int32 number, int32 valid

    polarity event, 8 bytes:  bit 0 valid, bit 1 polarity (1 ON), bits 16..2 y, bits 31..17 x;
                              then 31 bits of microseconds; (0, 0) is the upper left corner

Packets of other types (special events, frames) are passed over.
"""

from __future__ import annotations

import os
import struct

import numpy as np
from numpy.typing import NDArray

from .events import Events
from .file import read_bytes, refuse

SIZE = (128, 128)
"""Rows and columns of a DVS128."""

_VERSION = b"#!AER-DAT3.1"
_END = b"#!END-HEADER\r\n"
_PACKET = struct.Struct("<hhiiiiii")
_POLARITY = 1
_OVERFLOWS = 1 << 15  # of the 31-bit clock: two years
_HINT = "an AEDAT 3.1 file begins with '#!AER-DAT3.1', then come packets up to its last byte"


def read_dvs_gesture(path: str | os.PathLike[str]) -> Events:
    """The valid polarity events of one `.aedat` file, in the file's order; t as recorded.

    Raises `InputError` SFX-E134 if the file cannot be read, has another version, is truncated, or
    holds a packet of an impossible size or a pixel outside 128x128. Times are not checked here: a
    recording may restart its clock, and labels name the times they mean.
    """
    content = read_bytes(path, "SFX-E134", _HINT)
    if not content.startswith(_VERSION):
        raise refuse("SFX-E134", path, f"begins with {content[:12]!r}", _HINT)
    end = content.find(_END)
    if end < 0:
        raise refuse("SFX-E134", path, "has no line '#!END-HEADER'", _HINT)
    words, overflow = _packets(content, end + len(_END), path)
    address, time = words[:, 0], words[:, 1]
    valid = (address & 1) == 1
    x, y, p = address >> 17, (address >> 2) & 0x7FFF, (address >> 1) & 1
    events = Events(x[valid], y[valid], p[valid], (time + (overflow << 31))[valid])
    _check(events, path)
    return events


def _packets(
    content: bytes, at: int, path: str | os.PathLike[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Words [M, 2] of all polarity events, and the time overflow of each, [M]."""
    found, overflows = [np.zeros((0, 2), np.int64)], [np.zeros(0, np.int64)]
    while at < len(content):
        if at + _PACKET.size > len(content):
            left = len(content) - at
            what = f"ends {left} bytes into a packet's header of {_PACKET.size}"
            raise refuse("SFX-E134", path, what, _HINT)
        kind, _, size, _, overflow, capacity, number, _ = _PACKET.unpack_from(content, at)
        at += _PACKET.size
        if size < 1 or not 0 <= number <= capacity:
            what = f"has a packet of {number} of {capacity} events of {size} bytes at byte {at}"
            raise refuse("SFX-E134", path, what, _HINT)
        if not 0 <= overflow < _OVERFLOWS:
            raise refuse("SFX-E134", path, f"has a packet after {overflow} clock overflows", _HINT)
        if at + size * capacity > len(content):
            what = f"ends {len(content) - at} bytes into a packet of {size * capacity}"
            raise refuse("SFX-E134", path, what, _HINT)
        if kind == _POLARITY:
            if size != 8:
                raise refuse("SFX-E134", path, f"has polarity events of {size} bytes", _HINT)
            words = np.frombuffer(content, "<u4", 2 * number, at).reshape(-1, 2)
            found.append(words.astype(np.int64))
            overflows.append(np.full(number, overflow, np.int64))
        at += size * capacity
    return np.concatenate(found), np.concatenate(overflows)


def _check(events: Events, path: str | os.PathLike[str]) -> None:
    rows, columns = SIZE
    outside = np.flatnonzero((events.x >= columns) | (events.y >= rows))
    if len(outside):
        i = int(outside[0])
        what = f"event {i} is at x = {events.x[i]}, y = {events.y[i]}, outside {columns}x{rows}"
        raise refuse("SFX-E134", path, what, _HINT)
