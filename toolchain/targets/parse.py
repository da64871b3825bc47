"""From the tables of a TOML file to a `Target`, with every mistake reported at once."""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from math import inf
from typing import Any

from ..ground.arithmetic import MOST_BIAS, RANGES
from ..ground.errors import MOST_TEXT, InputError, Problem
from ..ground.shown import shown
from .target import Limits, Quantity, Target

REQUIRED_COSTS = {
    "e_synop_dense": "J",
    "e_synop_sparse": "J",
    "e_synop_conv": "J",
    "e_access": "J",
    "e_update": "J",
    "e_fired": "J",
    "e_message": "J",
    "e_hop_ew": "J",
    "e_hop_ns": "J",
    "k": "1",
    "p_static": "W",
    "t_synop_dense": "s",
    "t_synop_sparse": "s",
    "t_synop_conv": "s",
    "t_access": "s",
    "t_update": "s",
    "t_fired": "s",
    "t_link_bit": "s",
    "t_chip_link_bit": "s",
    "t_barrier": "s",
    "t_barrier_per_doubling": "s",
    "message_bits": "bit",
}
OPTIONAL_COSTS = {
    "e_step": "J",
    "widen_below": "J",
    "t_memory_word": "s",
    "t_message_in": "s",
    "t_message_out": "s",
    "t_host_message": "s",
    "t_sync": "s",
    "t_sync_per_doubling": "s",
    "graded_message_bits": "bit",
}
COSTS = REQUIRED_COSTS | OPTIONAL_COSTS

_MAY_BE_ZERO = {
    "axons_in_per_core",
    "axons_out_per_core",
    "payload_bits",
    "stateful_neurons_per_core",
    "least_weight_bits",
    "synapse_index_bits",
    "neuron_groups_per_core",
}
MOST, MOST_PLACES, LARGEST = 1 << 40, 1 << 20, 1e30
"""Of a limit; of one that counts cores or chips, which the mapper has in memory; of a cost."""
_PLACES = {"cores_per_chip", "cores_per_router", "chips", "mesh", "chip_grid"}
_SIGNED_PAIRS = {"weight_exp", "bias_exp"}
_COST_KEYS = {"value", "unit", "low", "high", "source"}
_FIT_KEYS = {"fitted_to", "prior"}
_FIT_HINT = "a value fitted to a measurement also has fitted_to, and prior: the value without it"


class _Reader:
    """Collects the problems of one file while it is taken apart."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.problems: list[Problem] = []

    def complain(self, what: str, hint: str = "", code: str = "SFX-E402") -> None:
        self.problems.append(Problem(code, self.where, what, hint))

    def table(self, data: dict[str, Any], key: str, known: set[str]) -> dict[str, Any]:
        """data[key] as a table whose names are all in `known`."""
        table = data.get(key, {})
        if not isinstance(table, dict):
            self.complain(f"[{key}] must be a table, not {_kind(table)}")
            return {}
        for name in sorted(set(table) - known):
            self.complain(f"[{key}] has no field '{name}'", f"known: {', '.join(sorted(known))}")
        return {k: v for k, v in table.items() if k in known}

    def text(self, value: object, what: str) -> str:
        if not isinstance(value, str) or not value.strip():
            self.complain(f"{what} must be a non-empty text, not {value!r}")
            return ""
        return shown(value, MOST_TEXT)

    def number(self, value: object, what: str, low: float, strict: bool) -> float:
        """A finite number >= low (> low if strict), of a size that can be computed with."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.complain(f"{what} must be a number, not {value!r}")
            return 1.0
        if not abs(value) <= LARGEST:  # NaN is not either
            self.complain(f"{what} must be a number up to {LARGEST:g}")
            return 1.0
        if value < low or (strict and value == low):
            self.complain(f"{what} is {value}, but must be {'>' if strict else '>='} {low:g}")
            return 1.0
        return float(value)

    def whole(self, value: object, what: str, low: float, most: int) -> int:
        """A whole number from low to most."""
        if isinstance(value, bool) or not isinstance(value, int):
            self.complain(f"{what} must be a whole number, not {value!r}")
            return 1
        if value < low:
            self.complain(f"{what} is {value}, but must be >= {low:g}")
            return 1
        if value > most:
            self.complain(f"{what} is {value}, but must be <= {most:,}")
            return 1
        return value


def parse(data: dict[str, Any], where: str, base: Target | None = None) -> Target:
    """The target in `data`; fields it does not give are those of `base`.

    Raises InputError (SFX-E402; SFX-E405 for widths that sfx does not compute with) with every
    problem of the file.
    """
    reader = _Reader(where)
    for key in sorted(set(data) - {"name", "title", "limits", "costs"}):
        reader.complain(f"unknown key '{key}'", "a target has name, title, extends, limits, costs")
    name = reader.text(data.get("name"), "name")
    title = reader.text(data.get("title", base.title if base else name or "?"), "title")
    limits, sources = _limits(reader, data, base)
    costs = _costs(reader, data, base)
    if not reader.problems:
        _computed_with(reader, limits)
    if not reader.problems:
        _consistent(reader, limits)
    if reader.problems:
        raise InputError.of(reader.problems)
    return Target(name, title, Limits(**limits), sources, costs)


def _limits(
    reader: _Reader, data: dict[str, Any], base: Target | None
) -> tuple[dict[str, Any], dict[str, str]]:
    known = {f.name for f in fields(Limits)}
    given = reader.table(data, "limits", known)
    values: dict[str, Any] = asdict(base.limits) if base else {}
    sources = dict(base.limit_sources) if base else {}
    for name, entry in given.items():
        if not isinstance(entry, dict) or set(entry) != {"value", "source"}:
            reader.complain(f'limits.{name} must be {{ value = ..., source = "..." }}')
            continue
        values[name] = _limit(reader, name, entry["value"])
        sources[name] = reader.text(entry["source"], f"limits.{name}.source")
    if "weight_bits" in given and "least_weight_bits" not in given:  # no more than all of them
        every = values.get("weight_bits", 0)
        values["least_weight_bits"] = min(values.get("least_weight_bits", 0), every)
    missing = {f.name for f in fields(Limits) if f.default is MISSING} - set(values) - set(given)
    for name in sorted(missing):
        reader.complain(f"limits.{name} is missing")
    return values, sources


def _limit(reader: _Reader, name: str, value: object) -> int | tuple[int, int]:
    low: float = 0 if name in _MAY_BE_ZERO else 1
    most = MOST_PLACES if name in _PLACES else MOST
    pair = name in _SIGNED_PAIRS or name in ("mesh", "chip_grid")
    if not pair:
        return reader.whole(value, f"limits.{name}", low, most)
    if not isinstance(value, list) or len(value) != 2:
        reader.complain(f"limits.{name} must be a pair of whole numbers, not {value!r}")
        return (1, 1)
    low = -inf if name in _SIGNED_PAIRS else 1
    first, second = (reader.whole(v, f"limits.{name}", low, most) for v in value)
    return (first, second)


def _costs(reader: _Reader, data: dict[str, Any], base: Target | None) -> dict[str, Quantity]:
    costs = dict(base.costs) if base else {}
    given = reader.table(data, "costs", set(COSTS))
    for name, entry in given.items():
        found = _quantity(reader, f"costs.{name}", COSTS[name], entry)
        if found is not None:
            costs[name] = found
    for name in sorted(set(REQUIRED_COSTS) - set(costs) - set(given)):
        reader.complain(f"costs.{name} is missing")
    return costs


def _quantity(reader: _Reader, what: str, unit: str, entry: object) -> Quantity | None:
    if not isinstance(entry, dict) or not _COST_KEYS <= set(entry) <= _COST_KEYS | _FIT_KEYS:
        reader.complain(f"{what} must be {{ value, unit, low, high, source }}", _FIT_HINT)
        return None
    if entry["unit"] != unit:
        reader.complain(f"{what} is in {unit!r}, not in {entry['unit']!r}")
    low = reader.number(entry["low"], f"{what}.low", 0, strict=True)
    high = reader.number(entry["high"], f"{what}.high", 0, strict=False)
    if not low <= 1 <= high:
        reader.complain(f"{what}: low <= 1 <= high must hold (they are factors on the value)")
    fitted, prior = entry.get("fitted_to", ""), entry.get("prior")
    if bool(fitted) != (prior is not None):
        reader.complain(f"{what}: fitted_to and prior go together", _FIT_HINT)
    return Quantity(
        reader.number(entry["value"], f"{what}.value", 0, strict=True),
        unit,
        low,
        high,
        reader.text(entry["source"], f"{what}.source"),
        reader.text(fitted, f"{what}.fitted_to") if fitted else "",
        None if prior is None else _quantity(reader, f"{what}.prior", unit, prior),
    )


def _computed_with(reader: _Reader, limits: dict[str, Any]) -> None:
    """Every width lies within what quantizer and backends can compute with."""
    for name, (least, most) in RANGES.items():
        given = limits[name]
        low, high = given if isinstance(given, tuple) else (given, given)
        if name == "payload_bits" and not given:
            continue  # binary spikes
        if low > high:
            continue  # said below
        if not (least <= low and high <= most):
            said = list(given) if isinstance(given, tuple) else given
            reader.complain(
                f"limits.{name} is {said}, but sfx computes with {least} to {most}",
                'leave it to extends = "loihi2", or give one within (docs/arithmetic.md)',
                "SFX-E405",
            )
    low, high = limits["weight_exp"]
    if low <= high and not low <= 0 <= high:
        reader.complain(f"limits.weight_exp is {[low, high]}: 0 must be among them", "", "SFX-E405")
    highest = limits["bias_bits"] - 1 + limits["bias_exp"][1]
    if highest > MOST_BIAS:
        reader.complain(
            f"a bias of limits.bias_bits {limits['bias_bits']} and an exponent of "
            f"{limits['bias_exp'][1]} reaches 2^{highest}, but sfx computes with 2^{MOST_BIAS}",
            "fewer bits, or a smaller greatest exponent",
            "SFX-E405",
        )


def _consistent(reader: _Reader, limits: dict[str, Any]) -> None:
    (x, y), per_router = limits["mesh"], limits["cores_per_router"]
    room = x * y * per_router
    if limits["cores_per_chip"] > room:
        reader.complain(
            f"cores_per_chip is {limits['cores_per_chip']}, but the mesh {x} x {y} x {per_router} "
            f"has space for {room}"
        )
    if limits.get("least_weight_bits", 0) > limits["weight_bits"]:
        reader.complain(
            f"least_weight_bits is {limits['least_weight_bits']}, more than weight_bits, "
            f"{limits['weight_bits']}"
        )
    columns, rows = limits.get("chip_grid", (1, 1))
    if columns * rows < limits["chips"]:
        reader.complain(
            f"chips is {limits['chips']}, but chip_grid {columns} x {rows} has space for "
            f"{columns * rows}"
        )
    for name in sorted(_SIGNED_PAIRS):
        if limits[name][0] > limits[name][1]:
            reader.complain(
                f"limits.{name} is {list(limits[name])}: the first must be the smaller one"
            )


def _kind(value: object) -> str:
    return type(value).__name__
