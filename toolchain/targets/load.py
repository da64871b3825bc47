"""Targets by name or from a user's TOML file, validated field by field."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from ..ground.errors import InputError
from ..ground.toml import read_toml
from .parse import parse
from .target import Target

FOLDER = Path(__file__).parent
ALIASES = {"loihi": "loihi2"}


def names() -> tuple[str, ...]:
    """The listed targets, smallest first (by cores)."""
    listed = [load(p.stem) for p in FOLDER.glob("*.toml")]
    # Loihi 1 comes first although its chip has a few more cores: it is the smaller machine.
    listed.sort(key=lambda t: (t.limits.chips, t.limits.neurons_per_core * t.limits.cores, t.name))
    return tuple(t.name for t in listed)


def load(name_or_path: str | Path) -> Target:
    """The target called so (`loihi` is `loihi2`), or the one in a TOML file.

    A file may say `extends = "loihi2"` and give only what differs; each limit is a table
    { value, source }, each cost { value, unit, low, high, source }.
    Raises InputError: SFX-E401 unknown name or unreadable file, SFX-E402 not a valid target,
    SFX-E405 widths of numbers that sfx does not compute with.
    """
    text = str(name_or_path)
    listed = FOLDER / f"{ALIASES.get(text, text)}.toml"
    if "/" not in text and "\\" not in text and listed.is_file():
        return _listed(listed.stem)
    if not text.endswith(".toml"):
        known = ", ".join([*names(), *(f"{a} (= {n})" for a, n in ALIASES.items())])
        raise InputError(
            "SFX-E401",
            f"unknown target '{text}'",
            hint=f"known targets: {known}; or give the path of your own .toml",
        )
    return _load_file(Path(name_or_path), ())


@cache
def _listed(name: str) -> Target:
    return _load_file(FOLDER / f"{name}.toml", (name,))


def _load_file(path: Path, seen: tuple[str, ...]) -> Target:
    data = _read(path)
    base = data.pop("extends", None)
    if base is None:
        return parse(data, str(path))
    if not isinstance(base, str) or base in seen or not (FOLDER / f"{base}.toml").is_file():
        raise InputError(
            "SFX-E402",
            f"extends = {base!r} does not name another listed target",
            where=str(path),
            hint=f"one of: {', '.join(p.stem for p in sorted(FOLDER.glob('*.toml')))}",
        )
    return parse(data, str(path), _listed(base))


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError("SFX-E401", f"cannot be read: {reason}", where=str(path)) from error
    except ValueError as error:
        raise InputError(
            "SFX-E402",
            f"is not TOML: {error}",
            where=str(path),
            hint="start from one of the listed targets: `sfx targets loihi2` shows every field",
        ) from error
