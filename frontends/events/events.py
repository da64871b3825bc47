"""Events of an event camera, and their counts per pixel, polarity and time step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfx.toolchain.errors import InputError

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


def bin_events(
    events: Events, timesteps: int, size: tuple[int, int], duration: int | None = None
) -> NDArray[np.uint8]:
    """Event counts [T, 2, H, W], uint8; a count over 255 stays 255.

    timesteps  T; step s takes the events with s * duration <= t * T < (s + 1) * duration
    size       (H, W) in pixels
    duration   microseconds that the T steps share; by default the recording's own, last t + 1.
               Give one for a whole data set, so that a step means the same in every sample.

    Channel 0 holds OFF events, 1 ON events. Raises `InputError` SFX-E131 for an event outside the
    sensor, the polarities or the duration, SFX-E132 for a duration or a number of steps under 1.
    """
    if duration is None:
        duration = int(events.t.max(initial=0)) + 1
    if timesteps < 1 or duration < 1:
        raise InputError(
            "SFX-E132", f"{timesteps} steps over {duration} us; both must be at least 1"
        )
    height, width = size
    limits = {"x": width, "y": height, "p": 2, "t": duration}
    for name, limit in limits.items():
        _check(name, getattr(events, name), limit)
    step = events.t * timesteps // duration
    site = ((step * 2 + events.p) * height + events.y) * width + events.x
    counts = np.bincount(site, minlength=timesteps * 2 * height * width)
    binned = np.minimum(counts, MOST).astype(np.uint8)
    return binned.reshape(timesteps, 2, height, width)


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
