"""Recordings written byte by byte in the formats' own words, for the readers' tests."""

from __future__ import annotations

import struct

Row = tuple[int, int, int, int]
"""x, y, polarity (1 ON), microseconds."""


def atis(rows: list[Row]) -> bytes:
    """N-MNIST and N-Caltech101: 40 bits per event, big endian."""
    return b"".join((x << 32 | y << 24 | p << 23 | t).to_bytes(5, "big") for x, y, p, t in rows)


AEDAT2_HEADER = (
    b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n# Timestamps tick is 1 us\r\n"
)


def aedat2(words: list[tuple[int, int]], header: bytes = AEDAT2_HEADER) -> bytes:
    """(address, microseconds) of each event, as jAER writes them."""
    return header + b"".join(struct.pack(">II", address, time) for address, time in words)


def cifar10_dvs(rows: list[Row]) -> bytes:
    """The file of a CIFAR10-DVS recording whose upright image has these events."""
    return aedat2([((127 - x) << 8 | (127 - y) << 1 | (1 - p), t) for x, y, p, t in rows])


AEDAT3_HEADER = (
    b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n"
    b"#Start-Time: 2016-06-08 12:34:56 (TZ+0200)\r\n#!END-HEADER\r\n"
)


def packet(
    rows: list[Row], kind: int = 1, overflow: int = 0, spare: int = 0, valid: int = 1
) -> bytes:
    """One AEDAT 3.1 packet of polarity events, with room for `spare` more."""
    head = struct.pack(
        "<hhiiiiii", kind, 1, 8, 4, overflow, len(rows) + spare, len(rows), len(rows) * valid
    )
    body = [struct.pack("<II", x << 17 | y << 2 | p << 1 | valid, t) for x, y, p, t in rows]
    return head + b"".join(body) + bytes(8 * spare)


def aedat3(*packets: bytes) -> bytes:
    """An AEDAT 3.1 file."""
    return AEDAT3_HEADER + b"".join(packets)
