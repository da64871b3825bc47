"""Where two Programs differ: populations, projections, every constant and weight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from ..ir.program import Program

ABSENT = "-"


@dataclass(frozen=True)
class Change:
    """One differing fact: of which population or projection, which field, in a and in b."""

    where: str
    field: str
    a: str
    b: str


def diff(a: Program, b: Program) -> list[Change]:
    """Every difference, in a's order; empty if and only if both mean the same to every backend."""
    found = [*_values("program", "", _facts(a), _facts(b))]
    for kind, left, right in (
        ("population", a.populations, b.populations),
        ("projection", a.projections, b.projections),
    ):
        mine = {x.name: x for x in left}
        theirs = {x.name: x for x in right}
        for name in [*mine, *(n for n in theirs if n not in mine)]:
            if name not in mine or name not in theirs:
                sides = (kind, ABSENT) if name in mine else (ABSENT, kind)
                found.append(Change(name, "exists", *sides))
            else:
                found += _values(name, "", mine[name], theirs[name])
        if list(mine) != list(theirs) and set(mine) == set(theirs):
            found.append(Change("program", f"order of {kind}s", "", "another"))
    return found


def _facts(program: Program) -> dict[str, Any]:
    """What a Program holds besides its populations and projections, but its name."""
    return {"timesteps": program.timesteps, "readout": program.readout}


def _values(where: str, field: str, a: Any, b: Any) -> Iterator[Change]:
    if type(a) is not type(b):
        yield Change(where, field, _word(a), _word(b))
    elif isinstance(a, np.ndarray):
        yield from _arrays(where, field, a, b)
    elif isinstance(a, dict):
        for key in a:
            yield from _values(where, _join(field, key), a[key], b[key])
    elif is_dataclass(a):
        for f in fields(a):
            if f.init:
                name = _join(field, f.name)
                yield from _values(where, name, getattr(a, f.name), getattr(b, f.name))
    elif a != b:
        yield Change(where, field, _word(a), _word(b))


def _arrays(where: str, field: str, a: Any, b: Any) -> Iterator[Change]:
    if a.shape != b.shape:
        yield Change(where, field, f"shape {a.shape}", f"shape {b.shape}")
        return
    wrong = np.argwhere(a != b)
    if len(wrong):
        first = tuple(int(i) for i in wrong[0])
        apart = int(np.abs(a - b).max())
        count = f"{len(wrong)} of {a.size} differ, by {apart} at most"
        yield Change(where, f"{field}{list(first)}", f"{a[first]}", f"{b[first]} ({count})")


def _join(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _word(value: Any) -> str:
    if is_dataclass(value):
        return type(value).__name__
    text = str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
