"""Events of an event camera, and their counts per pixel, polarity and time step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ground.errors import InputError

IntVector = NDArray[np.int64]

MOST = 255
"""Largest count of a bin: input is 8 bit on the chip."""


@dataclass(frozen=True, eq=False)
class Events:
    """One recording, an entry per event, all int64 [M].

    x, y  pixel column and row
    p     polarity: 0 OFF, 1 ON
    t     microseconds since the recording's start
    """

    x: IntVector
    y: IntVector
    p: IntVector
    t: IntVector

    def __len__(self) -> int:
        return len(self.t)

    def pick(self, which: NDArray[Any]) -> Events:
        """The events that `which` numbers, or marks as true."""
        return Events(self.x[which], self.y[which], self.p[which], self.t[which])

    def from_first(self) -> Events:
        """The same with times counted from the earliest."""
        return Events(self.x, self.y, self.p, self.t - self.t.min(initial=_LATEST))


_LATEST = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Recording:
    """What a file holds.

    events  times in microseconds, counted from the earliest event
    sensor  (rows, columns), None where the file does not say
    """

    events: Events
    sensor: tuple[int, int] | None = None


def bin_events(
    events: Events,
    timesteps: int,
    size: tuple[int, int],
    duration: int | None = None,
    by: str = "time",
) -> NDArray[np.uint8]:
    """`count_events` as uint8 [T, 2, H, W]; a count over 255 stays 255. Raises as it does."""
    return saturated(count_events(events, timesteps, size, duration, by))


def count_events(
    events: Events,
    timesteps: int,
    size: tuple[int, int],
    duration: int | None = None,
    by: str = "time",
) -> NDArray[np.int64]:
    """Event counts [T, 2, H, W], int64.

    timesteps  T
    by         `time`: step s takes the events with s * duration <= t * T < (s + 1) * duration;
               `count`: of M events in the order of their times, number i falls into i * T // M
    size       (H, W) in pixels
    duration   microseconds that the T steps share; by default the recording's own, last t + 1.
               Give one for a whole data set, so that a step means the same in every sample.

    Channel 0 holds OFF events, 1 ON events. Raises `InputError` SFX-E131 for an event outside the
    sensor, the polarities or the duration, SFX-E132 for a duration or a number of steps under 1 or
    an unknown `by`.
    """
    if duration is None:
        duration = int(events.t.max(initial=0)) + 1
    if timesteps < 1 or duration < 1:
        raise InputError(
            "SFX-E132", f"{timesteps} steps over {duration} us; both must be at least 1"
        )
    if timesteps * duration >= 2**63:
        raise InputError("SFX-E132", f"{timesteps} steps over {duration} us: too long to divide")
    height, width = size
    limits = {"x": width, "y": height, "p": 2, "t": duration}
    for name, limit in limits.items():
        _check(name, getattr(events, name), limit)
    step = _steps(events.t, timesteps, duration, by)
    site = ((step * 2 + events.p) * height + events.y) * width + events.x
    counts = np.bincount(site, minlength=timesteps * 2 * height * width)
    return counts.reshape(timesteps, 2, height, width)


def saturated(counts: NDArray[Any]) -> NDArray[np.uint8]:
    """Counts as the chip takes them: a count over 255 stays 255."""
    return np.minimum(counts, MOST).astype(np.uint8)


def fit(
    events: Events, sensor: tuple[int, int], crop: tuple[int, int], size: tuple[int, int]
) -> Events:
    """The events of the middle `crop` of `sensor`, on a grid of `size`; all (H, W) in pixels.

    A pixel of the grid collects the events of the pixels it covers: column x of the crop falls into
    x * W // crop's W. Events outside the crop are left out.
    """
    (rows, columns), (height, width) = crop, size
    x, y = events.x - (sensor[1] - columns) // 2, events.y - (sensor[0] - rows) // 2
    inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
    x, y = x[inside] * width // columns, y[inside] * height // rows
    return Events(x, y, events.p[inside], events.t[inside])


def _steps(t: IntVector, timesteps: int, duration: int, by: str) -> IntVector:
    """The time step of each event."""
    if by == "time":
        return t * timesteps // duration
    if by != "count":
        raise InputError("SFX-E132", f"there is no binning by '{by}'", hint="by time or by count")
    step = np.empty(len(t), np.int64)
    step[np.argsort(t, kind="stable")] = np.arange(len(t)) * timesteps // max(len(t), 1)
    return step


def _check(name: str, values: IntVector, limit: int) -> None:
    outside = np.flatnonzero((values < 0) | (values >= limit))
    if len(outside):
        first = int(outside[0])
        raise InputError(
            "SFX-E131",
            f"{len(outside)} events have {name} outside 0..{limit - 1}, first {values[first]}",
            where=f"event {first}",
            hint="check the sensor size (H, W) and the duration in microseconds",
        )
