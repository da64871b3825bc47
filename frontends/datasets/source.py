"""A data set on disk, before any of it is read: what its samples are and how to read one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ground.errors import InputError
from ..events.events import Events
from .options import no_split, option

Image = NDArray[np.uint8]
Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Source:
    """The samples of one split.

    sensor    (H, W) of every recording in pixels; None for images, whose sizes differ
    classes   name of each label; none where the samples have no labels
    labels    label of each sample, int64 [N]; -1 without labels
    read      sample number -> its `Events`, its image, uint8 [C, H, W], or its frames
    frames    shape of samples that are frames already, [T, ...], T that of the longest
    line      the sensor is one row of units without polarity, and frames are [T, W]
    """

    sensor: tuple[int, int] | None
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    read: Callable[[int], Events | Array]
    frames: tuple[int, ...] | None = None
    line: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def pick(self, index: NDArray[np.int64]) -> Source:
        """The samples numbered `index`, in that order."""
        read = self.read
        return replace(self, labels=self.labels[index], read=lambda i: read(int(index[i])))


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


@dataclass(frozen=True, eq=False)
class Files:
    """One file per sample: files [N], names of the classes, labels int64 [N]."""

    files: tuple[Path, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]

    @classmethod
    def below(cls, root: Path, suffixes: Sequence[str]) -> Files:
        """Those in one folder per class. Raises `InputError` SFX-E135."""
        by_class = folders(root, suffixes)
        counts = [len(group) for group in by_class.values()]
        labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
        return cls(tuple(f for group in by_class.values() for f in group), tuple(by_class), labels)


def of_files(
    root: Path,
    suffixes: Sequence[str],
    sensor: tuple[int, int] | None,
    read: Callable[[Path], Events | Array],
) -> Source:
    """A set of one folder per class, one file per sample."""
    found = Files.below(root, suffixes)
    return Source(sensor, found.classes, found.labels, lambda i: read(found.files[i]))


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
