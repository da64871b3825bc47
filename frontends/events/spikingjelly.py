"""SpikingJelly's two ways to divide a recording into T frames, cell by cell as its own functions.

`cal_fixed_frames_number_segment_index` of `spikingjelly.datasets` (0.0.0.0.14 and 2.0.0 alike):
each frame takes a range of the events in the file's order, the last one all that are left.

    number   N // T events a frame, so the last has up to T - 1 more
    time     windows of (last t - first t) // T whole units of time, so the last is longer; a frame
             reaches from the first event of its window to the last, whatever lies between them

Where a window holds no event SpikingJelly raises IndexError and writes no frames of that recording;
here its frame is empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .events import Events

NUMBER, TIME = "spikingjelly-number", "spikingjelly-time"
RULES = (NUMBER, TIME)


def framed(events: Events, frames: int, rule: str) -> Events:
    """The events of all frames in turn; `t` is the number of the frame, 0 to `frames` - 1.

    An event whose time runs backwards may be in two frames or in none, as in SpikingJelly.
    """
    bounds = _by_number(len(events), frames) if rule == NUMBER else _by_time(events.t, frames)
    index = np.concatenate([np.arange(low, high) for low, high in zip(*bounds, strict=True)])
    number = np.repeat(np.arange(frames), np.maximum(bounds[1] - bounds[0], 0))
    return Events(events.x[index], events.y[index], events.p[index], number)


Bounds = tuple[NDArray[np.int64], NDArray[np.int64]]
"""First event of each frame and the one behind its last, [T] each."""


def _by_number(count: int, frames: int) -> Bounds:
    low = np.arange(frames) * (count // frames)
    return low, np.append(low[1:], count)


def _by_time(t: NDArray[np.int64], frames: int) -> Bounds:
    low, high = np.zeros(frames, np.int64), np.zeros(frames, np.int64)
    if not len(t):
        return low, high
    since, width = t - t[0], (t[-1] - t[0]) // frames
    index = np.flatnonzero((since >= 0) & (since < width * frames))
    window = since[index] // max(width, 1)
    low[window[::-1]] = index[::-1]  # where a window has several, the one written last stays
    high[window] = index + 1
    if not (window == frames - 1).any():  # its window is empty, or nothing is left but the rest
        rest = np.flatnonzero(since >= width * (frames - 1))
        low[-1] = rest[0] if len(rest) else len(t)
    high[-1] = len(t)
    return low, high
