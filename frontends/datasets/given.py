"""Samples that are frames already, [T, C, H, W] or [T, N]: cut, scaled and padded as asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .options import Frames, option


def shape(whole: tuple[int, ...], frames: Frames) -> tuple[int, ...]:
    """Shape of a sample: `whole` is [T, ...] of the longest. Raises `InputError` SFX-E138."""
    if frames.duration is not None or frames.by != "time":
        raise option("--bin and --duration are for events", "these samples are frames already")
    steps = frames.steps or whole[0]
    if frames.crop is None and frames.size is None:
        return (steps, *whole[1:])
    if len(whole) != 4:
        raise option(f"--crop and --size are for frames [T, C, H, W], a sample has {list(whole)}")
    crop = frames.crop or whole[2:]
    if crop[0] > whole[2] or crop[1] > whole[3]:
        raise option(f"--crop is {crop[0]}x{crop[1]}, the frames have {whole[2]}x{whole[3]}")
    return (steps, whole[1], *(frames.size or crop))


def fitted(x: NDArray[Any], whole: tuple[int, ...], frames: Frames) -> NDArray[Any]:
    """A sample in the shape that `shape` gives; silent steps follow one that is shorter.

    Counts add up where pixels fall together, as for events.
    """
    wanted = shape(whole, frames)
    x = x[: wanted[0]]
    if len(wanted) == 4:
        x = _scaled(x, frames.crop or (whole[2], whole[3]), (wanted[2], wanted[3]))
    missing = wanted[0] - len(x)
    return np.pad(x, [(0, missing)] + [(0, 0)] * (x.ndim - 1)) if missing else x


def _scaled(x: NDArray[Any], crop: tuple[int, int], size: tuple[int, int]) -> NDArray[Any]:
    top, left = (x.shape[2] - crop[0]) // 2, (x.shape[3] - crop[1]) // 2
    x = x[:, :, top : top + crop[0], left : left + crop[1]]
    if crop == size:
        return x
    rows, columns = (np.arange(n) * m // n for n, m in zip(crop, size, strict=True))
    found = np.zeros((*size, *x.shape[:2]), x.dtype)
    place: Any = (rows[:, None], columns[None])
    np.add.at(found, place, x.transpose(2, 3, 0, 1))
    return found.transpose(2, 3, 0, 1)
