"""What a bundle records about itself, checked when it is read: every key that a command relies on.

A manifest is a stranger's JSON. Known keys have the types below; texts come out escaped, on one
line (`shown`); numbers are finite. Other keys are kept as they are, plain JSON that nothing reads.
"""

from __future__ import annotations

import json
import math
import re
import types
import typing
from dataclasses import MISSING, fields
from typing import Any, TypedDict, cast

from ...ground.shown import shown
from ...ir.codec import CodecError
from ...ir.record import LayerRecord

MOST_TEXT = 4000
MOST_DEPTH = 12
"""Levels of JSON; sfx writes six."""
HEX = re.compile(r"[0-9a-f]{64}")


class Model(TypedDict):
    """Name and SHA-256 of the model's file; "" for one that was no file."""

    name: str
    sha256: str


class Calibration(TypedDict):
    """Which samples chose the scales."""

    source: str
    samples: int
    sha256: str


class Statistics(TypedDict):
    """Counts that follow from the placed Program."""

    populations: int
    projections: int
    neurons: int
    synapses: int
    depth: int
    timesteps: int
    cores: int
    chips: int


class Fact(TypedDict):
    """One thing that a NIR file does not say: its value, and who said it."""

    what: str
    value: str
    origin: str


class NirFacts(TypedDict, total=False):
    """How the NIR source was read."""

    dt: float
    convention: str | None
    reset: str | None
    read: list[Fact]
    notes: list[str]
    warnings: list[str]
    lines: list[str]


class Qat(TypedDict):
    """A fine-tuned model: bits of the weights of each layer."""

    weight_bits: dict[str, int]


class Silent(TypedDict):
    """A population that never fires on the calibration data, and where: float, integers, both."""

    population: str
    where: str


class MeasuredRange(TypedDict):
    """A range that was seen on the calibration data and not proved: all [least, greatest]."""

    population: str
    range: list[int]
    seen: list[int]
    proven: list[int]
    margin: int


class Needed(TypedDict):
    """What reading a bundle takes."""

    schema_version: int
    sha256: dict[str, str]


class Manifest(Needed, total=False):
    """All keys that are read; sfx writes every one that its model has."""

    versions: dict[str, str]
    model: Model
    target: str
    target_table: dict[str, Any]
    statistics: Statistics
    calibration: Calibration | None
    quantization: list[dict[str, Any]]
    program: str
    nir: NirFacts
    qat: Qat
    quantize_options: dict[str, Any]
    trusted_pickle: bool
    weights: str
    witness: dict[str, Any] | None
    silent: list[Silent]
    ranges: list[MeasuredRange]


def parse(text: bytes) -> dict[str, Any]:
    """The manifest in `text`. Raises CodecError, or ValueError for what is no JSON."""
    found = json.loads(text, parse_constant=_no_number)
    if not isinstance(found, dict):
        raise CodecError("the manifest is not a table")
    return cast(dict[str, Any], _plain(found, "manifest", 0))


def checked(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with every known key of its type and complete records. Raises CodecError."""
    _check(manifest, Manifest, "manifest")
    digests = {"model.sha256": manifest.get("model", {}).get("sha256", "")}
    digests["program"] = manifest.get("program", "")
    for name, value in digests.items():
        if value and not HEX.fullmatch(value):
            raise CodecError(f"manifest.{name} is not a SHA-256: {shown(value, 40)}")
    records = manifest.get("quantization", [])
    whole = [_record(r, f"manifest.quantization[{i}]") for i, r in enumerate(records)]
    return {"calibration": None, **manifest, "quantization": whole}


def _no_number(text: str) -> Any:
    raise CodecError(f"the manifest holds {text}, which is not a number")


def _plain(value: Any, where: str, depth: int) -> Any:
    """`value` with every text escaped. Raises CodecError for what nests too deep, or infinity."""
    if depth > MOST_DEPTH:
        raise CodecError(f"{where} nests more than {MOST_DEPTH} levels deep")
    if isinstance(value, str):
        return shown(value, MOST_TEXT)
    if isinstance(value, float) and not math.isfinite(value):
        raise CodecError(f"{where} holds a number that is not finite")
    if isinstance(value, list):
        return [_plain(v, f"{where}[{i}]", depth + 1) for i, v in enumerate(value)]
    if isinstance(value, dict):
        named = {shown(k): v for k, v in value.items()}
        return {k: _plain(v, f"{where}.{k}", depth + 1) for k, v in named.items()}
    return value


def _check(value: Any, hint: Any, where: str) -> None:
    """Raise CodecError unless `value` is of the type `hint`."""
    if hint is Any:
        return
    origin, inside = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is not None:
            _check(value, next(h for h in inside if h is not type(None)), where)
        elif type(None) not in inside:
            raise _wrong(value, hint, where)
    elif origin is list:
        _require(isinstance(value, list), value, hint, where)
        for i, item in enumerate(value):
            _check(item, inside[0], f"{where}[{i}]")
    elif origin is dict:
        _require(isinstance(value, dict), value, hint, where)
        for key, item in value.items():
            _check(item, inside[1], f"{where}.{key}")
    elif typing.is_typeddict(hint):
        _table(value, hint, where)
    elif hint is float:
        _require(type(value) in (int, float), value, hint, where)
    else:
        _require(type(value) is hint, value, hint, where)


def _table(value: Any, hint: Any, where: str) -> None:
    _require(isinstance(value, dict), value, hint, where)
    hints = typing.get_type_hints(hint)
    missing = sorted(hint.__required_keys__ - set(value))
    if missing:
        raise CodecError(f"{where} has no {', '.join(missing)}")
    for key in hints.keys() & value.keys():
        _check(value[key], hints[key], f"{where}.{key}")


def _record(found: dict[str, Any], where: str) -> dict[str, Any]:
    """One row of the quantization record; what older versions did not write has its default."""
    hints = typing.get_type_hints(LayerRecord)
    defaults = {f.name: f.default for f in fields(LayerRecord) if f.default is not MISSING}
    whole = defaults | found
    missing = sorted(hints.keys() - whole.keys())
    if missing:
        raise CodecError(f"{where} has no {', '.join(missing)}")
    for key, hint in hints.items():
        _check(whole[key], hint, f"{where}.{key}")
    return whole


def _require(holds: bool, value: Any, hint: Any, where: str) -> None:
    if not holds:
        raise _wrong(value, hint, where)


def _wrong(value: Any, hint: Any, where: str) -> CodecError:
    kind = getattr(hint, "__name__", str(hint))
    return CodecError(f"{where} must be {kind}, not {shown(repr(value), 40)}")
