"""Recordings of an event camera, changed a little before they are binned: each event by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..events.events import Events
from .table import Table


@dataclass(frozen=True)
class EventAugment(Table):
    """Of each recording.

    flip    probability that left and right change places
    shift   pixels by which it is moved at most, in x and in y; what leaves the sensor is lost
    jitter  microseconds: standard deviation by which each event comes earlier or later
    drop    share of the events that are lost, at most
    cut     share of the recording's time in which all events are lost, at most
    """

    title: ClassVar[str] = "events"
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        "flip": (0, 1),
        "shift": (0, 4096),
        "jitter": (0, 1e9),
        "drop": (0, 1),
        "cut": (0, 1),
    }

    flip: float = 0.0
    shift: int = 0
    jitter: float = 0.0
    drop: float = 0.0
    cut: float = 0.0

    def __call__(self, events: Events, sensor: tuple[int, int], rng: np.random.Generator) -> Events:
        """The recording as it is learned this time; the times stay within those it had.

        sensor  (rows, columns)
        """
        x, y, t = events.x, events.y, events.t
        if self.flip and rng.random() < self.flip:
            x = sensor[1] - 1 - x
        if self.shift:
            right, down = rng.integers(-self.shift, self.shift + 1, 2)
            x, y = x + right, y + down
        if self.jitter:
            last = t.max(initial=0)
            t = np.clip(t + np.rint(rng.normal(0, self.jitter, len(t))).astype(np.int64), 0, last)
        kept = (x >= 0) & (x < sensor[1]) & (y >= 0) & (y < sensor[0])
        if self.drop:
            kept &= rng.random(len(t)) >= self.drop * rng.random()
        if self.cut:
            long = self.cut * rng.random() * t.max(initial=0)
            start = rng.random() * (t.max(initial=0) - long)
            kept &= (t < start) | (t >= start + long)
        order = np.argsort(t[kept], kind="stable")
        return Events(x[kept][order], y[kept][order], events.p[kept][order], t[kept][order])
