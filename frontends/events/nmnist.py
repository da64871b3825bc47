"""N-MNIST: MNIST recorded with an event camera (Orchard et al. 2015), one file per digit.

A `.bin` file is a sequence of 5-byte events, big endian (format of the data set's own reader,
`Read_Ndataset.m`, garrickorchard.com):

    bits 39..32  x, pixels
    bits 31..24  y, pixels
    bit  23      polarity, 0 OFF, 1 ON
    bits 22..0   t, microseconds

An event with y = 240 is no pixel's: it marks an overflow of the camera's 13-bit clock, and it and
all later times grow by 2**13 (gorchard/event-Python, `eventvision.py`).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from sfx.frontends.events.events import Events
from sfx.toolchain.errors import InputError

SIZE = (34, 34)
"""Rows and columns of an N-MNIST recording."""

_BYTES = 5
_OVERFLOW = 240
_INCREMENT = 2**13


def read_nmnist(path: str | os.PathLike[str]) -> Events:
    """The events of one N-MNIST `.bin` file, in the file's order.

    Raises `InputError` SFX-E130 if the file cannot be read, is empty or truncated, or holds a pixel
    outside 34x34 or times that run backwards (then it is no N-MNIST recording).
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise _refuse(path, f"cannot be read: {error.strerror or error}") from error
    if not content or len(content) % _BYTES:
        raise _refuse(
            path, f"has {len(content)} bytes, not a positive multiple of {_BYTES} (one event)"
        )
    raw = np.frombuffer(content, np.uint8).reshape(-1, _BYTES).astype(np.int64)
    x, y, p = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    overflow = y == _OVERFLOW
    t = ((raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]) + np.cumsum(overflow) * _INCREMENT
    events = Events(x[~overflow], y[~overflow], p[~overflow], t[~overflow])
    _check(events, path)
    return events


def _check(events: Events, path: str | os.PathLike[str]) -> None:
    rows, columns = SIZE
    outside = np.flatnonzero((events.x >= columns) | (events.y >= rows))
    if len(outside):
        i = int(outside[0])
        raise _refuse(
            path, f"event {i} is at x = {events.x[i]}, y = {events.y[i]}, outside {columns}x{rows}"
        )
    backwards = np.flatnonzero(np.diff(events.t) < 0)
    if len(backwards):
        i = int(backwards[0]) + 1
        raise _refuse(path, f"event {i} is at {events.t[i]} us, after one at {events.t[i - 1]} us")


def _refuse(path: str | os.PathLike[str], what: str) -> InputError:
    return InputError(
        "SFX-E130", what, where=str(path), hint="N-MNIST .bin files hold 5 bytes per event"
    )
