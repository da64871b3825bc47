"""A placed Program as JSON plus arrays, and back, trusting nothing.

Only the dataclasses in `CLASSES` exist for the decoder; every field is checked against its
annotation, so a damaged or hostile file gives `CodecError` and never an object of another kind.
"""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ground.arithmetic import LOIHI, Arithmetic
from . import facts, measured, placed, program
from .connection_kinds import CONNECTIONS
from .neurons import NEURONS

CLASSES: dict[str, Any] = {
    c.__name__: c
    for c in (
        placed.PlacedProgram,
        placed.Block,
        placed.Tile,
        placed.Usage,
        Arithmetic,
        program.Program,
        program.Population,
        program.Projection,
        program.Readout,
        program.View,
        *NEURONS,
        *CONNECTIONS,
        measured.Measured,
        facts.Coincidence,
        facts.Accumulator,
        facts.SampleTotal,
        facts.Cell,
    )
}
NOT_SAID: dict[str, dict[str, Any]] = {
    "Program": {"facts": None, "arithmetic": LOIHI},
    "Input": {"signed": 0},
    "Clock": {"every": 0},
    "Population": {"measured": None},
    "Readout": {"weights": (), "largest": False},
}
"""Fields that are left out where they have this value, as in files from before there were any."""


class CodecError(ValueError):
    """The data is not an encoded Program; the message gives the place."""


def encode(value: object, arrays: list[NDArray[Any]]) -> Any:
    """JSON-able form; arrays go to `arrays`, in the smallest integer type that holds them."""
    if isinstance(value, np.ndarray):
        arrays.append(_smallest(value))
        return {"array": len(arrays) - 1}
    if is_dataclass(value) and type(value).__name__ in CLASSES:
        name = type(value).__name__
        names = [f.name for f in fields(value) if f.init]
        unsaid = NOT_SAID.get(name, {})
        left_out = {n for n, usual in unsaid.items() if getattr(value, n) == usual}
        body = {n: encode(getattr(value, n), arrays) for n in names if n not in left_out}
        return {"type": name, **body}
    if isinstance(value, tuple | list):
        return [encode(v, arrays) for v in value]
    if isinstance(value, np.integer):
        return int(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise TypeError(f"cannot encode {type(value).__name__}")


def decode(data: Any, arrays: list[NDArray[Any]], kind: type, where: str = "program") -> Any:
    """The object of class `kind` in `data`. Raises CodecError."""
    return _decode(data, arrays, kind, where)


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "iu":
        raise TypeError(f"only integer arrays are encoded, not {array.dtype}")
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for kind in (np.int8, np.int16, np.int32):
        info = np.iinfo(kind)
        if info.min <= low and high <= info.max:
            return array.astype(kind)
    return array.astype(np.int64)


def _decode(data: Any, arrays: list[NDArray[Any]], hint: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if data is None and type(None) in typing.get_args(hint):
            return None
        kinds = [k for k in typing.get_args(hint) if k is not type(None)]
        return _decode(data, arrays, kinds[0], where)
    if origin in (np.ndarray, NDArray):  # numpy 2.5: the alias is its own origin
        return _array(data, arrays, where)
    if origin is tuple:
        return _tuple(data, arrays, typing.get_args(hint), where)
    if isinstance(hint, type) and is_dataclass(hint):
        return _object(data, arrays, hint, where)
    if hint is float and type(data) in (int, float):
        return float(data)
    if hint in (int, str, bool) and type(data) is hint:
        return data
    raise CodecError(f"{where}: expected {getattr(hint, '__name__', hint)}, got {_short(data)}")


def _array(data: Any, arrays: list[NDArray[Any]], where: str) -> NDArray[np.int64]:
    index = data.get("array") if isinstance(data, dict) else None
    if type(index) is not int or not 0 <= index < len(arrays):
        raise CodecError(f"{where}: expected an array, got {_short(data)}")
    return arrays[index].astype(np.int64)


def _tuple(
    data: Any, arrays: list[NDArray[Any]], kinds: tuple[Any, ...], where: str
) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise CodecError(f"{where}: expected a list, got {_short(data)}")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(data)
    if len(kinds) != len(data):
        raise CodecError(f"{where}: expected {len(kinds)} values, got {len(data)}")
    return tuple(
        _decode(v, arrays, k, f"{where}[{i}]")
        for i, (v, k) in enumerate(zip(data, kinds, strict=True))
    )


def _object(data: Any, arrays: list[NDArray[Any]], hint: Any, where: str) -> Any:
    name = data.get("type") if isinstance(data, dict) else None
    cls = CLASSES.get(name) if isinstance(name, str) else None
    if cls is None or not issubclass(cls, hint):
        raise CodecError(f"{where}: expected {hint.__name__}, got {_short(name)}")
    hints = _fields(cls)
    given = set(data) - {"type"}
    wanted = set(hints) - (NOT_SAID.get(cls.__name__, {}).keys() - given)
    if given != wanted:
        raise CodecError(f"{where}: {name} has fields {sorted(given)}, expected {sorted(wanted)}")
    label = data["name"] if isinstance(data.get("name"), str) else name
    values = {k: _decode(data[k], arrays, hints[k], f"{where}.{label}.{k}") for k in sorted(wanted)}
    return cls(**values)


@cache
def _fields(cls: Any) -> dict[str, Any]:
    """Annotation of each field that a class is made with; evaluating them is slow."""
    hints = typing.get_type_hints(cls)
    return {f.name: hints[f.name] for f in fields(cls) if f.init}


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 40 else f"{text[:37]}..."
