"""Damage to a file, drawn by hypothesis: bytes anywhere, or inside what a container or JSON holds.

Blind flips of a compressed or sealed file only ever meet its checksum. So containers are opened,
one entry is damaged, and they are closed again as a sound file: the readers behind the checksum
see it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

# fmt: off
WORDS = (
    b"\x00", b"\xff" * 4, b"\xff" * 8, b"PK\x03\x04", b"\x80\x02", b"\x89HDF", b"cos\nsystem\n",
    b"{}", b"[]", b"null", b"1e999", b"-1", b"9" * 30, b"..", b"/", b"NaN", b"\x93NUMPY",
)
VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 0.5, 1e300, "", "x", "../x",
    "LIF", "Dense", [], [[]], [0], {}, {"type": "LIF"}, {"array": 0}, {"array": 10**9},
)
# fmt: on


def raw(draw: Draw, content: bytes) -> bytes:
    """A few edits of the bytes: flip, overwrite, insert, delete, repeat, cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(("flip", "set", "insert", "delete", "repeat", "cut"))):
            case "flip" if data:
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set":
                word = draw(st.sampled_from(WORDS))
                data[at : at + len(word)] = word
            case "insert":
                data[at:at] = draw(st.sampled_from(WORDS))
            case "delete":
                del data[at : at + draw(st.integers(1, 40))]
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
            case "cut":
                del data[at:]
    return bytes(data)


def entry_of_zip(draw: Draw, content: bytes, close: Callable[[dict[str, bytes]], bytes]) -> bytes:
    """One entry of a zip damaged, left out, doubled under another name, or renamed."""
    with zipfile.ZipFile(io.BytesIO(content)) as z:
        entries = {n: z.read(n) for n in z.namelist()}
    name = draw(st.sampled_from(sorted(entries)))
    match draw(st.sampled_from(("bytes", "bytes", "json", "array", "drop", "rename", "swap"))):
        case "json" if name.endswith(".json"):
            entries[name] = json_text(draw, entries[name])
        case "array" if name.endswith(".npy"):
            entries[name] = npy(draw)
        case "drop":
            del entries[name]
        case "rename":
            entries[draw(st.sampled_from(("../evil", "x", "arrays/99999.npy")))] = entries.pop(name)
        case "swap":
            other = draw(st.sampled_from(sorted(entries)))
            entries[name], entries[other] = entries[other], entries[name]
        case _:
            entries[name] = raw(draw, entries[name])
    return close(entries)


def plain_zip(entries: dict[str, bytes]) -> bytes:
    """Entries as an uncompressed zip, as torch.save and np.savez write it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        for name, value in entries.items():
            z.writestr(name, value)
    return buffer.getvalue()


def npy(draw: Draw) -> bytes:
    """A sound array that is not the one expected."""
    shape = tuple(draw(st.lists(st.integers(0, 5), max_size=4)))
    kind = draw(st.sampled_from(("i1", "i8", "u8", "f4", "f8", "c8", "b1", "S3", "M8[s]")))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(shape, kind), allow_pickle=False)
    return buffer.getvalue()


def json_text(draw: Draw, text: bytes) -> bytes:
    """JSON with one value exchanged, a key left out or added, or an item repeated."""
    value = json.loads(text)
    places = list(_places(value))
    if not places:
        return b"[]"
    holder, key = draw(st.sampled_from(places))
    match draw(st.sampled_from(("set", "set", "delete", "add"))):
        case "delete":
            del holder[key]
        case "add" if isinstance(holder, dict):
            holder["extra"] = draw(st.sampled_from(VALUES))
        case "add":
            holder.append(holder[key])
        case _:
            holder[key] = draw(st.sampled_from(VALUES))
    return json.dumps(value).encode()


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def hdf5(draw: Draw, content: bytes) -> bytes:
    """One item of an HDF5 file exchanged, left out, or made a link, a group or another type."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = draw(st.sampled_from(sorted(names)))
        match draw(
            st.sampled_from(("drop", "value", "value", "link", "external", "group", "loop"))
        ):
            case "drop":
                del file[name]
            case "link":
                del file[name]
                file[name] = h5py.SoftLink(draw(st.sampled_from(("/", "/missing", "/node"))))
            case "external":
                del file[name]
                file[name] = h5py.ExternalLink("/etc/passwd", "/")
            case "group":
                del file[name]
                file.create_group(name)
            case "loop":
                file.create_group("loop")["again"] = file["/"]
            case _:
                del file[name]
                file[name] = _hdf5_value(draw)
    return buffer.getvalue()


def _hdf5_value(draw: Draw) -> Any:
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    number = draw(st.sampled_from((0, 1, -1, 0.5, np.nan, np.inf, 1e300, 2**40)))
    text = draw(st.sampled_from(("", "LIF", "Conv2d", "../x", "NIRGraph", "é" * 100)))
    return draw(
        st.sampled_from(
            (np.full(shape, number), np.zeros(shape, "i4"), number, text, text.encode())
        )
    )
