"""AEDAT 4.0: iniVation's DV and dv-processing, and the files of CIFAR10-DVS that Tonic downloads.

    the line #!AER-DAT4.0
    uint32 size, header     FlatBuffers table `IOHE`: compression (int32: none, LZ4, LZ4 high,
                            Zstandard, Zstandard high), place of the table of packets (int64),
                            a description of the streams (XML)
    packets                 int32 stream, int32 size, then so many bytes, packed as the header says;
                            unpacked: uint32 size, FlatBuffers table `EVTS`, a vector of events:
                            int64 microseconds, int16 x, int16 y, bool ON, 3 bytes of filling
    the table of packets    up to the end

Little endian (docs.inivation.com, "AEDAT 4.0"; schemas in github.com/neuromorphicsystems/aedat).
Of several streams of events the one with the smallest number is read, as Tonic does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ground.memory import require
from . import unpack
from .checked import events_of
from .events import Recording
from .file import read_bytes, refuse
from .flat import Damaged, Table, number

CODE = "SFX-E146"
_VERSION = b"#!AER-DAT4.0\r\n"
_HINT = "an AEDAT 4.0 file begins with '#!AER-DAT4.0', then come a header and packets"
_EVENT = np.dtype([("t", "<i8"), ("x", "<i2"), ("y", "<i2"), ("p", "u1"), ("", "V3")])
_LARGEST = 1 << 28
"""Bytes of a packet, unpacked: 16 million events."""
_ASKED = 1 << 26
"""Bytes of events after which memory is asked for again."""
_MOST_TEXT = 1 << 24
Unpack = Callable[[bytes, int], bytes]


def _plain(content: bytes, limit: int) -> bytes:
    return content


_UNPACK: tuple[Unpack, ...] = (_plain, unpack.lz4, unpack.lz4, unpack.zstd, unpack.zstd)


def read_aedat4(path: str | os.PathLike[str]) -> Recording:
    """The events of one file, in its order.

    Raises `InputError` SFX-E146, SFX-E605; `MissingPartError` SFX-E147 for packed files without the
    packages of the extra `events`.
    """
    content = read_bytes(path, CODE, _HINT)
    if not content.startswith(_VERSION):
        raise refuse(CODE, path, f"begins with {content[:12]!r}", _HINT)
    try:
        unpacked, end, text, at = _header(content)
        stream, sensor = _stream(text)
        found = list(_packets(content, at, end, stream, unpacked))
    except ValueError as error:
        raise refuse(CODE, path, f"is damaged: {error}", _HINT) from error
    rows = np.concatenate(found) if found else np.zeros(0, _EVENT)
    return Recording(events_of({name: rows[name] for name in "xytp"}, path, CODE), sensor)


def _header(content: bytes) -> tuple[Unpack, int, str, int]:
    """How packets are packed, where they end and begin, and the description."""
    at = len(_VERSION)
    size = number(content, at, "<I")
    start = at + 4 + size
    if start > len(content):
        raise Damaged(f"a header of {size} bytes")
    table = Table.root(content[at + 4 : start], b"IOHE")
    fields = [table.field(0), table.field(1)]
    packed = 0 if fields[0] is None else number(table.content, fields[0], "<i")
    end = -1 if fields[1] is None else number(table.content, fields[1], "<q")
    if not 0 <= packed < len(_UNPACK):
        raise Damaged(f"packed in an unknown way ({packed})")
    if end >= 0 and not start <= end <= len(content):
        raise Damaged(f"packets from byte {start} to {end} of {len(content)}")
    first, length = table.vector(2, 1)
    text = table.content[first : first + min(length, _MOST_TEXT)].decode("utf8", "replace")
    return _UNPACK[packed], end if end >= 0 else len(content), text, start


def _stream(text: str) -> tuple[int, tuple[int, int] | None]:
    """Number of the first stream of events, and its sensor (rows, columns)."""
    parts = re.split(r'<node name="(\d{1,9})" path="[^"]*/outInfo/\d+/">', text)
    streams = {int(n): body for n, body in zip(parts[1::2], parts[2::2], strict=True)}
    events = [
        n for n, body in streams.items() if re.search(_attribute("typeIdentifier", "EVTS"), body)
    ]
    if not events:
        raise Damaged("no stream of events is described")
    body = streams[min(events)]
    sides = [re.search(_attribute(side, r"(\d{1,5})"), body) for side in ("sizeY", "sizeX")]
    rows, columns = (int(side[1]) if side else 0 for side in sides)
    return min(events), (rows, columns) if min(rows, columns) else None


def _attribute(key: str, value: str) -> str:
    return rf'<attr key="{key}"[^>]*>{value}</attr>'


def _packets(
    content: bytes, at: int, end: int, stream: int, unpacked: Unpack
) -> Iterator[NDArray[np.void]]:
    """The events of each packet of one stream."""
    taken = asked = 0
    while at < end:
        source, size = number(content, at, "<i"), number(content, at + 4, "<i")
        at += 8
        if size < 0 or at + size > end:
            raise Damaged(f"a packet of {size} bytes at byte {at} of {end}")
        if source == stream:
            events = _events(unpacked(content[at : at + size], _LARGEST))
            taken += events.nbytes
            if taken - asked >= _ASKED:
                require(4 * taken, "reading a recording")
                asked = taken
            yield events
        at += size


def _events(buffer: bytes) -> NDArray[np.void]:
    size = number(buffer, 0, "<I")
    if size + 4 > len(buffer):
        raise Damaged(f"a buffer of {size} bytes in {len(buffer)}")
    table = Table.root(buffer[4 : 4 + size], b"EVTS")
    first, count = table.vector(0, _EVENT.itemsize)
    return np.frombuffer(table.content, _EVENT, count, first)
