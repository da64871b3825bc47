"""Columns of numbers as events: every reader's last step, and what one's own files are held to."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .events import Events
from .file import refuse

UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1 / 1_000}
"""Microseconds of a unit of time."""
LARGEST = 1 << 16
"""Rows and columns of a sensor at most."""
_SPAN = 1 << 46
"""Microseconds of a recording at most: two years."""
_EXACT = 1 << 62
HINT = "columns x, y (pixels), t (time) and p (0 or -1 OFF, 1 ON)"


def events_of(
    columns: dict[str, NDArray[Any]],
    path: str | os.PathLike[str],
    code: str,
    unit: str = "us",
) -> Events:
    """Events of columns `x`, `y`, `t` and `p`, all [M]; times in `unit`, counted from the earliest.

    Raises `InputError` `code` for columns of other lengths or types, fractions of a pixel, pixels
    below 0 or above 65535, polarities but 0 and 1 or -1 and 1, or more than two years of events.
    """
    sizes = {name: column.shape for name, column in columns.items()}
    if any(len(s) != 1 for s in sizes.values()) or len(set(sizes.values())) != 1:
        listed = ", ".join(f"{name} {list(size)}" for name, size in sizes.items())
        raise refuse(code, path, f"has columns {listed}", HINT)
    found = {name: _whole(column, name, path, code, unit) for name, column in columns.items()}
    x, y, p, t = (found[name] for name in "xypt")
    for name, values in (("x", x), ("y", y)):
        outside = np.flatnonzero((values < 0) | (values >= LARGEST))
        if len(outside):
            what = f"event {outside[0]} has {name} = {values[outside[0]]}"
            raise refuse(code, path, what, f"pixels are 0 to {LARGEST - 1}; {HINT}")
    if len(p) and p.min() < 0:
        p = np.where(p == -1, 0, np.where(p == 1, 1, 2))  # 0 beside -1 is no polarity
    wrong = np.flatnonzero((p < 0) | (p > 1))
    if len(wrong):
        what = f"event {wrong[0]} has p = {found['p'][wrong[0]]}"
        raise refuse(code, path, what, "polarities are 0 and 1, or -1 and 1")
    if len(t) and int(t.max()) - int(t.min()) > _SPAN:
        what = f"has times from {t.min()} to {t.max()} us, more than two years"
        raise refuse(code, path, what, "--unit says what the times are in: s, ms, us or ns")
    return Events(x, y, p, t).from_first()


def _whole(
    values: NDArray[Any], name: str, path: str | os.PathLike[str], code: str, unit: str
) -> NDArray[np.int64]:
    """A column as int64; times as microseconds, rounded to the nearest."""
    if values.dtype.kind not in "biuf":
        raise refuse(code, path, f"has {name} of type {values.dtype}", HINT)
    scale = UNITS[unit] if name == "t" else 1
    if values.dtype.kind == "f":
        values = values.astype(np.float64) * scale
        if not np.isfinite(values).all() or (len(values) and np.abs(values).max() >= _EXACT):
            raise refuse(code, path, f"has {name} that is no number of today", HINT)
        rounded: NDArray[np.float64] = np.rint(values)
        if name != "t" and not np.array_equal(rounded, values):
            raise refuse(code, path, f"has fractions in {name}", HINT)
        return rounded.astype(np.int64)
    limit = _EXACT // max(int(scale), 1)
    if len(values) and (int(values.max()) >= limit or int(values.min()) <= -limit):
        raise refuse(code, path, f"has {name} up to {values.max()}", HINT)
    whole: NDArray[np.int64] = values.astype(np.int64)
    return whole // 1000 if scale < 1 else whole * int(scale)


def inside(events: Events, sensor: tuple[int, int], path: str | os.PathLike[str]) -> Events:
    """The events, if all lie on a sensor of (rows, columns). Raises `InputError` SFX-E142."""
    outside = np.flatnonzero((events.y >= sensor[0]) | (events.x >= sensor[1]))
    if len(outside):
        i = int(outside[0])
        place = f"event {i} is at x = {events.x[i]}, y = {events.y[i]}"
        what = f"{place}, outside a sensor of {sensor[0]}x{sensor[1]} (rows x columns)"
        hint = "--sensor HxW is the size of the sensor that recorded it, --columns the order"
        raise refuse("SFX-E142", path, what, hint)
    return events
