"""Tables of a configuration file as frozen dataclasses, which tell all that is wrong at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, TypeVar, get_args, get_origin, get_type_hints

from ...toolchain.ground.errors import InputError, Problem

T = TypeVar("T", bound="Table")


@dataclasses.dataclass(frozen=True)
class Table:
    """Settings with types and allowed values. Raises InputError (SFX-E380): every bad field."""

    title: ClassVar[str]
    """Name of the table in a file, as in `[train]`."""
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Allowed values of fields."""
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {}
    """Least and greatest value of fields, both allowed."""

    def __post_init__(self) -> None:
        found = [*self._wrong()]
        if found:
            raise InputError.of(found)

    @classmethod
    def of(cls: type[T], given: object, where: str = "") -> T:
        """The settings of a table that a file holds (lists for tuples)."""
        if not isinstance(given, Mapping):
            raise InputError("SFX-E380", f"[{cls.title}] is not a table", where=where)
        names = [f.name for f in dataclasses.fields(cls)]
        unknown = [k for k in given if k not in names]
        if unknown:
            hint = f"settings: {', '.join(names)}"
            what = "is not a setting"
            raise InputError.of([Problem("SFX-E380", cls._at(k), what, hint) for k in unknown])
        absent = [f.name for f in dataclasses.fields(cls) if _required(f) and f.name not in given]
        if absent:
            raise InputError.of(
                [Problem("SFX-E380", cls._at(k), "is missing, and has no default") for k in absent]
            )
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in given.items()})

    @classmethod
    def _at(cls, field: object) -> str:
        return f"[{cls.title}] {field}"

    def _wrong(self) -> Iterator[Problem]:
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not _is(value, hints[field.name]):
                what = f"is {value!r}, not {_words(hints[field.name])}"
            elif field.name in self.choices and value not in self.choices[field.name]:
                what = f"is {value!r}, not one of: {', '.join(self.choices[field.name])}"
            elif not self._inside(field.name, value):
                low, high = self.ranges[field.name]
                what = f"is {value!r}, outside {low:g} to {high:g}"
            else:
                continue
            yield Problem("SFX-E380", self._at(field.name), what)

    def _inside(self, name: str, value: Any) -> bool:
        low, high = self.ranges.get(name, (-math.inf, math.inf))
        values = value if isinstance(value, tuple) else (value,)
        return all(low <= v <= high for v in values if isinstance(v, int | float))


def _required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _is(value: object, kind: Any) -> bool:
    """Whether it is of the type of its field: whole numbers are real ones too, truth is neither."""
    kinds = get_args(kind)
    if get_origin(kind) is tuple:
        values = value if isinstance(value, tuple) else (None,)
        kinds = kinds[:1] * len(values) if kinds[-1] is Ellipsis else kinds
        return len(values) == len(kinds) and all(map(_is, values, kinds))
    if kinds:
        return any(_is(value, k) for k in kinds)
    if kind is float:
        return _is(value, int) or (isinstance(value, float) and math.isfinite(value))
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _words(kind: Any) -> str:
    kinds = get_args(kind)
    if get_origin(kind) is tuple:
        count = "" if kinds[-1] is Ellipsis else f" of {len(kinds)}"
        return f"a list{count}, each {_words(kinds[0])}"
    if kinds:
        return " or ".join(_words(k) for k in kinds if k is not type(None))
    return {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}[kind]
