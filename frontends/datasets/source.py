"""A data set on disk, before any of it is read: what its samples are and how to read one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ground.errors import InputError
from ..events.events import Events, bin_events, fit

Image = NDArray[np.uint8]

LARGEST = 1 << 30
"""Values of one sample at most."""


@dataclass(frozen=True, eq=False)
class Source:
    """The samples of one split.

    sensor    (H, W) of every recording in pixels; None for images, whose sizes differ
    classes   name of each label
    labels    label of each sample, int64 [N]
    read      sample number -> its `Events`, or its image, uint8 [C, H, W]
    """

    sensor: tuple[int, int] | None
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    read: Callable[[int], Events | Image]

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, index: NDArray[np.int64]) -> Source:
        """The samples numbered `index`, in that order."""
        read = self.read
        return replace(self, labels=self.labels[index], read=lambda i: read(int(index[i])))


@dataclass(frozen=True)
class Frames:
    """How a sample becomes uint8 [T, C, H, W].

    steps     T
    by        events into steps by `time` or by `count`
    duration  microseconds that the T steps share: later events are left out; None: each
              recording's own
    crop      (H, W) of the sensor's or image's middle to keep; None: all
    size      (H, W) of the frames; None: that of the crop
    """

    steps: int
    by: str = "time"
    duration: int | None = None
    crop: tuple[int, int] | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Raises `InputError` SFX-E138 for a value that no data set could have."""
        if self.steps < 1:
            raise option(f"--steps is {self.steps}, less than 1")
        if self.by not in ("time", "count"):
            raise option(f"there is no binning by '{self.by}'", "--bin time or --bin count")
        if self.duration is not None and self.duration < 1:
            raise option(f"--duration is {self.duration} us, less than 1")
        for name, pair in (("crop", self.crop), ("size", self.size)):
            if pair is not None and not (min(pair) >= 1 and max(pair) <= 4096):
                raise option(f"--{name} is {pair[0]}x{pair[1]}, outside 1..4096 pixels")


def option(what: str, hint: str = "") -> InputError:
    """The refusal of an option, SFX-E138."""
    return InputError("SFX-E138", what, hint=hint)


def no_split(split: str | None) -> InputError:
    """The refusal of a split that is not there."""
    what = "no split is named" if split is None else f"there is no split '{split}'"
    return option(what, "--split train or --split test")


def shape(source: Source, frames: Frames) -> tuple[int, int, int, int]:
    """(T, C, H, W) of every sample. Raises `InputError` SFX-E138, or that of the first sample."""
    sizes = _shape(source, frames)
    if math.prod(sizes) > LARGEST:
        raise option(
            f"a sample would have {math.prod(sizes):,} values, more than {LARGEST:,}",
            "fewer --steps or a smaller --size",
        )
    return sizes


def _shape(source: Source, frames: Frames) -> tuple[int, int, int, int]:
    if source.sensor is None:
        if frames.size is not None:
            raise option("--size is for events and for images", "--crop cuts the middle out")
        channels, height, width = _still(source, 0, frames).shape
        return frames.steps, channels, height, width
    crop = frames.crop or source.sensor
    if crop[0] > source.sensor[0] or crop[1] > source.sensor[1]:
        raise option(
            f"--crop is {crop[0]}x{crop[1]}, the sensor has {source.sensor[0]}x{source.sensor[1]}"
        )
    return (frames.steps, 2, *(frames.size or crop))


def sample(source: Source, index: int, frames: Frames) -> NDArray[np.uint8]:
    """Sample `index` as uint8 [T, C, H, W]: counts of OFF (0) and ON (1), or an image T times.

    Raises `InputError` with the code of the reader for a file that cannot be read.
    """
    if source.sensor is None:
        image = _still(source, index, frames)
        return np.broadcast_to(image, (frames.steps, *image.shape)).copy()
    events = source.read(index)
    assert isinstance(events, Events)
    if frames.duration is not None:
        early = events.t < frames.duration
        events = Events(events.x[early], events.y[early], events.p[early], events.t[early])
    crop = frames.crop or source.sensor
    size = frames.size or crop
    fitted = fit(events, source.sensor, crop, size)
    own = int(events.t.max(initial=0)) + 1
    return bin_events(fitted, frames.steps, size, frames.duration or own, frames.by)


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


def folders(root: Path, suffixes: Sequence[str]) -> Mapping[str, list[Path]]:
    """Class name -> its files with one of `suffixes`, both sorted.

    Raises `InputError` SFX-E135 if there is no such folder or no such file in it.
    """
    wanted = " or ".join(suffixes)
    hint = f"expected one folder per class, with {wanted} files"
    if not root.is_dir():
        raise InputError("SFX-E135", "is not a folder", where=str(root), hint=hint)
    found = {
        folder.name: sorted(f for f in folder.iterdir() if f.suffix.lower() in suffixes)
        for folder in sorted(root.iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    }
    if not any(found.values()):
        raise InputError("SFX-E135", f"holds no {wanted} file", where=str(root), hint=hint)
    return {name: files for name, files in found.items() if files}


def of_files(
    root: Path,
    suffixes: Sequence[str],
    sensor: tuple[int, int] | None,
    read: Callable[[Path], Events | Image],
) -> Source:
    """A set of one folder per class, one file per sample."""
    by_class = folders(root, suffixes)
    files = [f for group in by_class.values() for f in group]
    counts = [len(group) for group in by_class.values()]
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    return Source(sensor, tuple(by_class), labels, lambda i: read(files[i]))


def held_out(source: Source, split: str | None, every: int) -> Source:
    """One side of a set without a split of its own: `test` is every `every`-th of each class.

    None takes all. Raises `InputError` SFX-E138.
    """
    if split is None:
        return source
    if split not in ("train", "test"):
        raise no_split(split)
    if every < 2:
        raise option(f"--every is {every}, less than 2")
    rank = np.zeros(len(source), np.int64)  # of a sample within its class
    for label in np.unique(source.labels):
        members = np.flatnonzero(source.labels == label)
        rank[members] = np.arange(len(members))
    test = rank % every == every - 1
    if split == "test" and not test.any():
        raise option(
            f"--every is {every}, but no class has so many samples", "a smaller --every, at least 2"
        )
    return source.pick(np.flatnonzero(test if split == "test" else ~test))
