"""Damage to a file: bytes anywhere, or inside what a container or JSON holds.

Blind flips of a compressed or sealed file only ever meet its checksum. So containers are opened,
one entry is damaged, and they are closed again as a sound file: the readers behind the checksum
see it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from functools import cache
from typing import Any

import h5py
import numpy as np

from tests.fuzz.draw import Draw

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
    for _ in range(draw.integer(1, 4)):
        at = draw.integer(0, max(len(data) - 1, 0))
        match draw.pick(("flip", "set", "insert", "delete", "repeat", "cut")):
            case "flip" if data:
                data[at] ^= 1 << draw.integer(0, 7)
            case "set":
                word = draw.pick(WORDS)
                data[at : at + len(word)] = word
            case "insert":
                data[at:at] = draw.pick(WORDS)
            case "delete":
                del data[at : at + draw.integer(1, 40)]
            case "repeat":
                data[at:at] = data[at : at + draw.integer(1, 40)]
            case "cut":
                del data[at:]
    return bytes(data)


def entry_of_zip(draw: Draw, content: bytes, close: Callable[[dict[str, bytes]], bytes]) -> bytes:
    """One entry of a zip damaged, left out, doubled under another name, or renamed."""
    entries = dict(_entries(content))
    name = draw.pick(sorted(entries))
    match draw.pick(("bytes", "bytes", "json", "array", "drop", "rename", "swap")):
        case "json" if name.endswith(".json"):
            entries[name] = json_text(draw, entries[name])
        case "array" if name.endswith(".npy"):
            entries[name] = npy(draw)
        case "drop":
            del entries[name]
        case "rename":
            entries[draw.pick(("../evil", "x", "arrays/99999.npy"))] = entries.pop(name)
        case "swap":
            other = draw.pick(sorted(entries))
            entries[name], entries[other] = entries[other], entries[name]
        case _:
            entries[name] = raw(draw, entries[name])
    return close(entries)


@cache
def _entries(content: bytes) -> tuple[tuple[str, bytes], ...]:
    with zipfile.ZipFile(io.BytesIO(content)) as z:
        return tuple((n, z.read(n)) for n in z.namelist())


def plain_zip(entries: dict[str, bytes]) -> bytes:
    """Entries as an uncompressed zip, as torch.save and np.savez write it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        for name, value in entries.items():
            z.writestr(name, value)
    return buffer.getvalue()


def npy(draw: Draw) -> bytes:
    """A sound array that is not the one expected."""
    shape = tuple(draw.integer(0, 5) for _ in range(draw.integer(0, 4)))
    kind = draw.pick(("i1", "i8", "u8", "f4", "f8", "c8", "b1", "S3", "M8[s]"))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(shape, kind), allow_pickle=False)
    return buffer.getvalue()


def json_text(draw: Draw, text: bytes) -> bytes:
    """JSON with one value exchanged, a key left out or added, or an item repeated."""
    value = json.loads(text)
    places = list(_places(value))
    if not places:
        return b"[]"
    holder, key = draw.pick(places)
    match draw.pick(("set", "set", "delete", "add")):
        case "delete":
            del holder[key]
        case "add" if isinstance(holder, dict):
            holder["extra"] = draw.pick(VALUES)
        case "add":
            holder.append(holder[key])
        case _:
            holder[key] = draw.pick(VALUES)
    return json.dumps(value).encode()


def _places(value: Any) -> Any:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


def lines(draw: Draw, content: bytes) -> bytes:
    """Text with a line left out, doubled, put elsewhere, or ended early."""
    rows = content.splitlines(keepends=True)
    at, to = draw.integer(0, len(rows) - 1), draw.integer(0, len(rows) - 1)
    match draw.pick(("drop", "double", "move", "cut")):
        case "drop":
            del rows[at]
        case "double":
            rows.insert(to, rows[at])
        case "move":
            rows.insert(to, rows.pop(at))
        case "cut":
            rows[at] = rows[at][: draw.integer(0, len(rows[at]))]
    return b"".join(rows)


def safetensors(draw: Draw, content: bytes) -> bytes:
    """The JSON header with one value exchanged, or the JSON in its metadata."""
    size = int.from_bytes(content[:8], "little")
    head, rest = content[8 : 8 + size], content[8 + size :]
    meta = json.loads(head)
    if draw.integer(0, 1) and "sfx" in meta.get("__metadata__", {}):
        inner = json_text(draw, meta["__metadata__"]["sfx"].encode())
        meta["__metadata__"]["sfx"] = inner.decode()
        head = json.dumps(meta).encode()
    else:
        head = json_text(draw, head)
    return len(head).to_bytes(8, "little") + head + rest


def hdf5(draw: Draw, content: bytes) -> bytes:
    """One item of an HDF5 file exchanged, left out, or made a link, a group or another type."""
    buffer = io.BytesIO(content)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = draw.pick(sorted(names))
        match draw.pick(("drop", "value", "value", "link", "external", "group", "loop")):
            case "drop":
                del file[name]
            case "link":
                del file[name]
                file[name] = h5py.SoftLink(draw.pick(("/", "/missing", "/node")))
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
    shape = tuple(draw.integer(0, 4) for _ in range(draw.integer(0, 4)))
    number = draw.pick((0, 1, -1, 0.5, np.nan, np.inf, 1e300, 2**40))
    text = draw.pick(("", "LIF", "Conv2d", "../x", "NIRGraph", "é" * 100))
    return draw.pick((np.full(shape, number), np.zeros(shape, "i4"), number, text, text.encode()))


def onnx_model(draw: Draw, content: bytes) -> bytes:
    """A node, constant or input of an ONNX model changed, left out, doubled or pointed outside."""
    from onnx import TensorProto, load_model_from_string

    model = load_model_from_string(content)
    graph = model.graph
    node, tensor = draw.pick(graph.node), draw.pick(graph.initializer)
    number = draw.pick((0, 1, -1, 2, 7, 2**31, 2**62, -(2**62)))
    match draw.pick(("drop", "double", "op", "input", "attr", "dims", "type", "data", "outside")):
        case "drop":
            graph.node.remove(node)
        case "double":
            graph.node.append(node)
        case "op":
            node.op_type = draw.pick(graph.node).op_type
        case "input":
            node.input[:] = [*draw.pick(graph.node).output, *node.input][: draw.integer(0, 4)]
        case "attr" if node.attribute:
            a = draw.pick(node.attribute)
            a.i, a.f, a.ints[:] = number, number, [number] * draw.integer(0, 4)
            a.type = draw.pick((1, 2, 3, 4, 6, 7, 8, a.type))
        case "dims":
            tensor.dims[:] = [number] * draw.integer(0, 4)
        case "type":
            tensor.data_type = draw.integer(0, 25)
        case "data":
            tensor.raw_data = raw(draw, tensor.raw_data)
        case "outside":
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="../../etc/passwd")
        case _:
            for d in graph.input[0].type.tensor_type.shape.dim:
                d.dim_value = number
    return model.SerializeToString()
