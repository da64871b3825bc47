"""N-MNIST and N-Caltech101: image sets recorded with an ATIS event camera (Orchard et al. 2015).

A `.bin` file holds one recording, a sequence of 5-byte events, big endian (format of the data sets'
own reader, `Read_Ndataset.m`, garrickorchard.com):

    bits 39..32  x, pixels
    bits 31..24  y, pixels
    bit  23      polarity, 0 OFF, 1 ON
    bits 22..0   t, microseconds

An event with y = 240 is no pixel's: it marks an overflow of the camera's 13-bit clock, and it and
all later times grow by 2**13 (gorchard/event-Python, `eventvision.py`).
"""

from __future__ import annotations

import os

import numpy as np

from .events import Events
from .file import read_bytes, refuse

NMNIST = (34, 34)
"""Rows and columns of an N-MNIST recording."""

NCALTECH101 = (180, 240)
"""Rows and columns that the largest images of N-Caltech101 cover on the sensor."""

_BYTES = 5
_OVERFLOW = 240
_INCREMENT = 2**13
_HINT = "N-MNIST and N-Caltech101 .bin files hold 5 bytes per event"


def read_nmnist(path: str | os.PathLike[str]) -> Events:
    """The events of one N-MNIST `.bin` file, in the file's order.

    Raises `InputError` SFX-E130 if the file cannot be read, is empty or truncated, or holds a pixel
    outside 34x34 or times that run backwards (then it is no N-MNIST recording).
    """
    return _read(path, NMNIST)


def read_ncaltech101(path: str | os.PathLike[str]) -> Events:
    """The events of one N-Caltech101 `.bin` file, in the file's order.

    Raises `InputError` SFX-E130 as `read_nmnist` does, for 240x180 pixels (width x height).
    """
    return _read(path, NCALTECH101)


def _read(path: str | os.PathLike[str], size: tuple[int, int]) -> Events:
    content = read_bytes(path, "SFX-E130", _HINT)
    if not content or len(content) % _BYTES:
        raise refuse(
            "SFX-E130",
            path,
            f"has {len(content)} bytes, not a positive multiple of {_BYTES} (one event)",
            _HINT,
        )
    raw = np.frombuffer(content, np.uint8).reshape(-1, _BYTES).astype(np.int64)
    x, y, p = raw[:, 0], raw[:, 1], raw[:, 2] >> 7
    overflow = y == _OVERFLOW
    t = ((raw[:, 2] & 127) << 16 | raw[:, 3] << 8 | raw[:, 4]) + np.cumsum(overflow) * _INCREMENT
    events = Events(x[~overflow], y[~overflow], p[~overflow], t[~overflow])
    _check(events, path, size)
    return events


def _check(events: Events, path: str | os.PathLike[str], size: tuple[int, int]) -> None:
    rows, columns = size
    outside = np.flatnonzero((events.x >= columns) | (events.y >= rows))
    if len(outside):
        i = int(outside[0])
        where = f"event {i} is at x = {events.x[i]}, y = {events.y[i]}"
        raise refuse("SFX-E130", path, f"{where}, outside {columns}x{rows}", _HINT)
    backwards = np.flatnonzero(np.diff(events.t) < 0)
    if len(backwards):
        i = int(backwards[0]) + 1
        times = f"event {i} is at {events.t[i]} us, after one at {events.t[i - 1]} us"
        raise refuse("SFX-E130", path, times, _HINT)
