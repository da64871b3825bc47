"""Recordings written byte by byte in the formats' own words, for the readers' tests."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

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


DAT_HEADER = b"% Data file containing CD events.\n% Version 2\n% Height 720\n% Width 1280\n"


def dat(rows: list[Row], header: bytes = DAT_HEADER, kind: bytes = b"\x0c\x08") -> bytes:
    """Prophesee's .dat, version 2."""
    body = [struct.pack("<II", t % 2**32, p << 28 | y << 14 | x) for x, y, p, t in rows]
    return header + kind + b"".join(body)


EVT2_HEADER = b"% Date 2026-11-30\n% evt 2.0\n% format EVT2;height=480;width=640\n% end\n"
EVT3_HEADER = b"% camera IMX636\n% evt 3.0\n% geometry 1280x720\n% end\n"


def evt2(rows: list[Row], header: bytes = EVT2_HEADER) -> bytes:
    """EVT 2.0: the upper 28 bits of the time whenever they change."""
    words, high = [], -1
    for x, y, p, t in rows:
        if t >> 6 != high:
            high = t >> 6
            words.append(8 << 28 | high % 2**28)
        words.append(p << 28 | (t & 63) << 22 | x << 11 | y)
    return header + struct.pack(f"<{len(words)}I", *words)


def evt3(rows: list[Row], header: bytes = EVT3_HEADER) -> bytes:
    """EVT 3.0, an address per event; times, rows and columns only when they change."""
    words: list[int] = []
    high = low = row = -1
    for x, y, p, t in rows:
        if t >> 12 != high:
            high, low = t >> 12, -1
            words.append(8 << 12 | high % 2**12)
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append(6 << 12 | low)
        if y != row:
            row = y
            words.append(y)
        words.append(2 << 12 | p << 11 | x)
    return header + struct.pack(f"<{len(words)}H", *words)


def words16(*words: int) -> bytes:
    """An EVT 3.0 file of these words."""
    return EVT3_HEADER + struct.pack(f"<{len(words)}H", *words)


def es(rows: list[Row], size: tuple[int, int] = (1280, 720), kind: int = 1) -> bytes:
    """Event Stream 2.0.0 of (width, height); the first event's time counts from 0."""
    body, last = bytearray(), 0
    for x, y, p, t in rows:
        overflows, rest = divmod(t - last, 127)
        body += b"\xff" * overflows + struct.pack("<BHH", rest << 1 | p, x, y)
        last = t
    return b"Event Stream\x02\x00\x00" + struct.pack("<BHH", kind, *size) + bytes(body)


DESCRIPTION = """<dv version="2.0">
    <node name="outInfo" path="/mainloop/Recorder/outInfo/">
        <node name="0" path="/mainloop/Recorder/outInfo/0/">
            <attr key="compression" type="string">NONE</attr>
            <attr key="typeIdentifier" type="string">EVTS</attr>
            <node name="info" path="/mainloop/Recorder/outInfo/0/info/">
                <attr key="sizeX" type="int">346</attr>
                <attr key="sizeY" type="int">260</attr>
            </node>
        </node>
        <node name="1" path="/mainloop/Recorder/outInfo/1/">
            <attr key="typeIdentifier" type="string">TRIG</attr>
        </node>
    </node>
</dv>"""
Packed = Callable[[bytes], bytes]


def aedat4(
    packets: list[tuple[int, bytes]],
    compression: int = 0,
    pack: Packed = bytes,
    text: str = DESCRIPTION,
    table: bytes = b"",
) -> bytes:
    """AEDAT 4.0 of (stream, buffer) packets, with FlatBuffers' own builder."""
    body = b""
    for stream, buffer in packets:
        packed = pack(buffer)
        body += struct.pack("<ii", stream, len(packed)) + packed
    start = len(b"#!AER-DAT4.0\r\n") + len(_ioheader(compression, 0, text))
    head = _ioheader(compression, start + len(body) if table else -1, text)
    if len(head) != len(_ioheader(compression, 0, text)):  # the default is left out
        head = _ioheader(compression, -1, text)
    return b"#!AER-DAT4.0\r\n" + head + body + table


def _ioheader(compression: int, position: int, text: str) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder()
    name = builder.CreateString(text)
    builder.StartObject(3)
    builder.PrependInt32Slot(0, compression, 0)
    builder.PrependInt64Slot(1, position, -1)
    builder.PrependUOffsetTRelativeSlot(2, name, 0)
    builder.FinishSizePrefixed(builder.EndObject(), b"IOHE")
    return bytes(builder.Output())


def event_packet(rows: list[Row], identifier: bytes = b"EVTS") -> bytes:
    """One packet of events, with FlatBuffers' own builder."""
    import flatbuffers

    builder = flatbuffers.Builder()
    builder.StartVector(16, len(rows), 8)
    for x, y, p, t in reversed(rows):
        builder.Prep(8, 16)
        builder.Pad(3)
        builder.PrependBool(bool(p))
        builder.PrependInt16(y)
        builder.PrependInt16(x)
        builder.PrependInt64(t)
    vector = builder.EndVector()
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    builder.FinishSizePrefixed(builder.EndObject(), identifier)
    return bytes(builder.Output())


def mat(rows: list[Row], compressed: bool = False, **more: Any) -> bytes:
    """MATLAB 5 as ASL-DVS has it, by SciPy's own writer."""
    from scipy.io import savemat

    columns = np.array(rows, float).reshape(-1, 4).T
    named = dict(zip(("x", "y", "pol", "ts"), (c[:, None] for c in columns), strict=True))
    buffer = io.BytesIO()
    savemat(buffer, {**named, **more}, do_compression=compressed)
    return buffer.getvalue()


def structured(rows: list[Row]) -> np.ndarray:
    """As Tonic's readers give events."""
    dtype = [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", bool)]
    found = np.zeros(len(rows), dtype)
    for name, column in zip("xypt", np.array(rows, np.int64).reshape(-1, 4).T, strict=True):
        found[name] = column
    return found


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()
