"""TOML files that a stranger may have written: one way in, one kind of error.

`tomllib` raises ValueError for numbers of thousands of digits and RecursionError for deep nesting,
and makes whole numbers that no float holds and Python does not print (TOML promises 64 bits).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST = 1 << 20
"""Bytes of a file that is read."""
LONGEST = 1000
"""Bits of a whole number; floats reach 1,024."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of the file. Raises OSError, and ValueError for all that is wrong in it."""
    with path.open("rb") as file:
        text = file.read(MOST + 1)
    if len(text) > MOST:
        raise ValueError(f"more than {MOST:,} bytes")
    try:
        found = tomllib.loads(text.decode())
        _within(found)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return found


def _within(value: object) -> None:
    """Raise ValueError for whole numbers that no float holds."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _within(inner)
    elif isinstance(value, int) and value.bit_length() > LONGEST:
        raise ValueError(f"it has a whole number of more than {LONGEST:,} bits")
