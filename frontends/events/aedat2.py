"""AEDAT 2.0, as jAER wrote it: the files of CIFAR10-DVS (Li et al. 2017), from a DVS128 camera.

Header lines that begin with '#' (the first says `#!AER-DAT2.0`), then 8 bytes per event, big
endian: 32 bits of address, 32 bits of microseconds (docs.inivation.com, "AEDAT 2.0"). A DVS128
address:

    bit  15     an external signal, no pixel's event: passed over
    bits 14..8  y
    bits 7..1   x
    bit  0      polarity, 0 ON, 1 OFF (jAER's DVS128 class turns the bit: `type = (1 - addr) & 1`)

Where a CIFAR10-DVS image is upright, its column is 127 - y and its row 127 - x. That is the
orientation and polarity that SpikingJelly (`spikingjelly.datasets.cifar10_dvs`) trains with.
"""

from __future__ import annotations

import os

import numpy as np

from .events import Events
from .file import read_bytes, refuse

SIZE = (128, 128)
"""Rows and columns of a DVS128."""

_VERSION = b"#!AER-DAT2.0"
_BYTES = 8
_EXTERNAL = 0x8000
_KNOWN = 0xFFFF  # the bits of a DVS128 address
_HINT = "an AEDAT 2.0 recording of a DVS128 begins with '#!AER-DAT2.0' and has 8 bytes per event"


def read_cifar10_dvs(path: str | os.PathLike[str]) -> Events:
    """The events of one CIFAR10-DVS `.aedat` file, in the file's order; t from the earliest.

    Raises `InputError` SFX-E133 if the file cannot be read, has another version, is empty or
    truncated, or holds an address that no DVS128 sends. Times may run backwards: old recordings do
    (docs.inivation.com, "AEDAT 2.0", "Ordering").
    """
    content = read_bytes(path, "SFX-E133", _HINT)
    if not content.startswith(_VERSION):
        raise refuse("SFX-E133", path, f"begins with {content[:12]!r}", _HINT)
    body = content[_header(content) :]
    if not body or len(body) % _BYTES:
        what = f"has {len(body)} bytes of events, not a positive multiple of {_BYTES}"
        raise refuse("SFX-E133", path, what, _HINT)
    address, time = np.frombuffer(body, ">u4").reshape(-1, 2).astype(np.int64).T
    foreign = np.flatnonzero(address & ~_KNOWN)
    if len(foreign):
        i = int(foreign[0])
        raise refuse("SFX-E133", path, f"event {i} has the address {address[i]:#x}", _HINT)
    pixel = (address & _EXTERNAL) == 0
    address, time = address[pixel], time[pixel]
    x, y = (address >> 1) & 127, (address >> 8) & 127
    return Events(127 - y, 127 - x, 1 - (address & 1), time - (time.min() if len(time) else 0))


def _header(content: bytes) -> int:
    """Bytes of the header: the lines that begin with '#'.

    The format has no end mark. A first event whose address begins with '#' (0x23) is no pixel's.
    """
    at = 0
    while content[at : at + 1] == b"#":
        end = content.find(b"\n", at)
        at = len(content) if end < 0 else end + 1
    return at
