"""One sample of a set as frames."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..events.events import Events, count_events, fit, saturated
from ..events.spikingjelly import RULES, TIME, framed
from . import given
from .options import STEPS, Frames, option
from .source import Image, Source

LARGEST = 1 << 30
"""Values of one sample at most."""


def shape(source: Source, frames: Frames) -> tuple[int, ...]:
    """(T, C, H, W) of every sample. Raises `InputError` SFX-E138, or that of the first sample."""
    sizes = _shape(source, frames)
    if math.prod(sizes) > LARGEST:
        raise option(
            f"a sample would have {math.prod(sizes):,} values, more than {LARGEST:,}",
            "fewer --steps or a smaller --size",
        )
    return sizes


def _shape(source: Source, frames: Frames) -> tuple[int, ...]:
    if source.frames is not None:
        return given.shape(source.frames, frames)
    steps = frames.steps or STEPS
    if source.sensor is None:
        if frames.size is not None:
            raise option("--size is for events and for images", "--crop cuts the middle out")
        return (steps, *_still(source, 0, frames).shape)
    crop = frames.crop or source.sensor
    if crop[0] > source.sensor[0] or crop[1] > source.sensor[1]:
        raise option(
            f"--crop is {crop[0]}x{crop[1]}, the sensor has {source.sensor[0]}x{source.sensor[1]}"
        )
    if source.line and frames.by == TIME:
        what = "SpikingJelly divides the times of SHD and SSC as floats, unlike its other sets"
        raise option(what, "--from spikingjelly reads the frames that it wrote")
    if source.line:
        return (steps, (frames.size or crop)[1])
    return (steps, 2, *(frames.size or crop))


def sample(source: Source, index: int, frames: Frames) -> NDArray[np.uint8]:
    """`counts` as uint8; a count over 255 stays 255. Raises as it does."""
    return saturated(counts(source, index, frames))


def counts(source: Source, index: int, frames: Frames) -> NDArray[Any]:
    """Sample `index`, whole numbers [T, C, H, W]: counts of OFF (0), ON (1), or an image T times.

    Raises `InputError` with the code of the reader for a file that cannot be read.
    """
    if source.frames is not None:
        array = source.read(index)
        assert isinstance(array, np.ndarray)
        return given.fitted(array, source.frames, frames)
    steps = frames.steps or STEPS
    if source.sensor is None:
        image = _still(source, index, frames)
        return np.broadcast_to(image, (steps, *image.shape)).copy()
    events = source.read(index)
    assert isinstance(events, Events)
    if frames.duration is not None:
        events = events.pick(events.t < frames.duration)
    own = int(events.t.max(initial=0)) + 1
    duration, by = frames.duration or own, frames.by
    if by in RULES:  # of the whole recording, whatever is cut off later
        events, duration, by = framed(events, steps, by), steps, "time"
    crop = frames.crop or source.sensor
    size = frames.size or crop
    binned = count_events(fit(events, source.sensor, crop, size), steps, size, duration, by)
    return binned.sum((1, 2)) if source.line else binned


def _still(source: Source, index: int, frames: Frames) -> Image:
    """An image [C, H, W], its middle cut out; of the size that `frames` asks for."""
    image = source.read(index)
    assert isinstance(image, np.ndarray)
    return _middle(image, frames.crop) if frames.crop else image


def _middle(image: Image, crop: tuple[int, int]) -> Image:
    height, width = image.shape[1:]
    if crop[0] > height or crop[1] > width:
        raise option(f"--crop is {crop[0]}x{crop[1]}, an image has {height}x{width}")
    top, left = (height - crop[0]) // 2, (width - crop[1]) // 2
    return image[:, top : top + crop[0], left : left + crop[1]]
