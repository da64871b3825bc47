"""Event Stream, `.es` version 2, DVS events (github.com/neuromorphic-paris/event_stream).

    bytes 0..14   "Event Stream", version major, minor, patch
    byte 15       kind of events, 1: DVS
    bytes 16..19  width, height, uint16 each
    then          0xFE       reset: no event, no time
                  0xFF       127 more microseconds before the next event
                  or 5 bytes: microseconds since the last event (bits 7..1, less than 127) and
                  polarity (bit 0, 1 ON), x, y, uint16 each

Little endian throughout. y = 0 is the lowest row in the files of its authors' cameras and the
highest in others; it is read as it is.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from .checked import events_of
from .events import Recording
from .file import read_bytes, refuse

CODE = "SFX-E145"
_NAME = b"Event Stream"
_DVS = 1
_HEAD = 20
_EVENT = 5
_RESET, _OVERFLOW = 0xFE, 0xFF
_KINDS = {0: "generic", 1: "DVS", 2: "ATIS", 3: "asynchronous and modular display", 4: "color"}
_HINT = "an .es file begins with 'Event Stream'; version 2 with DVS events is read"
_AHEAD = 256
"""Events that are looked at in one step, at first."""


def read_es(path: str | os.PathLike[str]) -> Recording:
    """The events of one file, in its order. Raises `InputError` SFX-E145."""
    content = read_bytes(path, CODE, _HINT)
    if not content.startswith(_NAME) or len(content) < _HEAD:
        raise refuse(CODE, path, f"begins with {content[:12]!r}", _HINT)
    if content[12] != 2 or content[15] != _DVS:
        kind = _KINDS.get(content[15], f"unknown ({content[15]})")
        version = ".".join(map(str, content[12:15]))
        raise refuse(CODE, path, f"is of version {version} with {kind} events", _HINT)
    width, height = np.frombuffer(content, "<u2", 2, 16).tolist()
    first, since = _events(np.frombuffer(content, np.uint8, offset=_HEAD), path)
    raw = np.frombuffer(content, np.uint8, offset=_HEAD)[first[:, None] + np.arange(_EVENT)]
    raw = raw.astype(np.int64)
    columns = {
        "x": raw[:, 1] | raw[:, 2] << 8,
        "y": raw[:, 3] | raw[:, 4] << 8,
        "p": raw[:, 0] & 1,
        "t": np.cumsum((raw[:, 0] >> 1) + since),
    }
    events = events_of(columns, path, CODE)
    outside = np.flatnonzero((events.x >= width) | (events.y >= height))
    if len(outside):
        i = int(outside[0])
        what = f"event {i} is at x = {events.x[i]}, y = {events.y[i]}, outside {width}x{height}"
        raise refuse(CODE, path, what, _HINT)
    return Recording(events, (height, width) if min(height, width) else None)


Found = tuple[NDArray[np.int64], NDArray[np.int64]]


def _events(body: NDArray[np.uint8], path: str | os.PathLike[str]) -> Found:
    """First byte of each event [M], and the overflow before it in microseconds [M].

    Only what stands where an event may begin tells an overflow from a coordinate, so runs of events
    are followed, and looked at in steps that grow while nothing interrupts them.
    """
    starts: list[NDArray[np.int64]] = []
    extra: list[tuple[int, int]] = []  # number of an event, microseconds before it
    at, count, ahead = 0, 0, _AHEAD
    while at < len(body):
        run = body[at : at + ahead * _EVENT : _EVENT]
        special = np.flatnonzero(run >= _RESET)
        events = int(special[0]) if len(special) else len(run)
        if at + events * _EVENT > len(body):
            what = f"ends {len(body) - at - (events - 1) * _EVENT} bytes into an event of {_EVENT}"
            raise refuse(CODE, path, what, _HINT)
        starts.append(at + np.arange(events, dtype=np.int64) * _EVENT)
        at, count = at + events * _EVENT, count + events
        ahead = max(2 * events, _AHEAD) if len(special) else 2 * ahead
        if len(special):
            end = _behind(body, at)
            extra.append((count, 127 * int((body[at:end] == _OVERFLOW).sum())))
            at = end
    first = np.concatenate(starts) if starts else np.zeros(0, np.int64)
    since = np.zeros(len(first), np.int64)
    number, microseconds = np.array(extra, np.int64).reshape(-1, 2).T
    inside = number < len(first)
    np.add.at(since, number[inside], microseconds[inside])
    return first, since


def _behind(body: NDArray[np.uint8], at: int) -> int:
    """Where the resets and overflows end that begin at `at`."""
    size = 64
    while True:
        others = np.flatnonzero(body[at : at + size] < _RESET)
        if len(others) or at + size >= len(body):
            return at + int(others[0]) if len(others) else len(body)
        size *= 4
