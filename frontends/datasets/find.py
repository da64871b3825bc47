"""Every data set that `sfx data convert` and `sfx.data` read, by name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..events.columns import ORDER
from .event_sets import asl_dvs, cifar10_dvs, ncaltech101, nmnist
from .gesture import dvs_gesture
from .heidelberg import SPLITS, heidelberg
from .images import images
from .mnist import mnist
from .options import option
from .recordings import Stated, recordings
from .source import Source
from .spikingjelly import spikingjelly

_PLAIN = {
    "nmnist": nmnist,
    "ncaltech101": ncaltech101,
    "dvs-gesture": dvs_gesture,
    "cifar10-dvs": cifar10_dvs,
    "asl-dvs": asl_dvs,
    "mnist": mnist,
}
_STATED = {"recordings": recordings, "spikingjelly": spikingjelly}
"""Sets of files that do not say all of themselves."""
NAMES = (*_PLAIN, "images", *SPLITS, *_STATED)
READERS: dict[str, Callable[..., Source]] = {
    **_PLAIN,
    "images": images,
    **dict.fromkeys(SPLITS, heidelberg),
    **_STATED,
}
"""What reads each set; the first line of its docstring says which files."""


def find(
    name: str,
    path: str | os.PathLike[str],
    *,
    split: str | None = None,
    every: int = 10,
    limit: int | None = None,
    size: tuple[int, int] | None = None,
    gray: bool = False,
    sensor: tuple[int, int] | None = None,
    unit: str = "us",
    columns: str = ORDER,
) -> Source:
    """The samples of a data set as it was downloaded to `path`; none is read yet.

    name   one of `NAMES`
    split  `train` or `test` (SSC also `valid`); None takes all of a set without its own split
    every  a set without a split of its own: every `every`-th sample of each class is for `test`
    limit  at most so many samples, spread evenly over the set
    size   `images` only: (H, W) to resize and cut to
    gray   `images` only: one channel
    sensor, unit, columns   `recordings` and `spikingjelly` only, of files that do not say it:
           (H, W) of the sensor, unit of times (s, ms, us, ns), order of columns without names

    Raises `InputError` SFX-E138 for a wrong name or option, SFX-E135 or SFX-E137 for a folder that
    does not look like the data set.
    """
    root = Path(path)
    if name == "images":
        source = images(root, split, every, size, gray)
    elif name in SPLITS:
        source = heidelberg(name, root, split)
    elif name in _STATED:
        source = _STATED[name](root, split, every, Stated(sensor, unit, columns))
    elif name in _PLAIN:
        source = _PLAIN[name](root, split, every)
    else:
        raise option(f"there is no data set '{name}'", f"one of: {', '.join(NAMES)}")
    if limit is None or limit >= len(source):
        return source
    if limit < 1:
        raise option(f"--limit is {limit}, less than 1")
    return source.pick(np.arange(limit) * len(source) // limit)
