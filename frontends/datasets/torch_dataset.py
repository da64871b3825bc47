"""The same samples as torch `Dataset`s, to train on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from .find import find
from .options import Frames
from .sample import sample, shape

Item = tuple[Tensor, int]
Transform = Callable[[Tensor], Tensor]


class EventDataset(Dataset[Item]):
    """A data set as it was downloaded; a recording is read and binned when it is asked for.

    An item is (x, y): x float32 [T, C, H, W], event counts (channel 0 OFF, 1 ON) or pixels 0..255,
    exactly what `sfx data convert` writes; y its class number, -1 where there are no labels.

    name, path  as for `sfx.frontends.datasets.find.find`, as are split and `of_set`: every, limit,
                gray, sensor, unit and columns
    steps       T, by default 8, or that of frames in the files; by, duration, crop, size as in
                `sfx.frontends.datasets.options.Frames`
    transform   x -> x, for augmentation

    `classes` holds the classes' names, `shape` is that of x. Raises `InputError` as `find` does,
    and while reading as the reader does.
    """

    def __init__(
        self,
        name: str,
        path: str | os.PathLike[str],
        *,
        steps: int | None = None,
        split: str | None = None,
        by: str = "time",
        duration: int | None = None,
        crop: tuple[int, int] | None = None,
        size: tuple[int, int] | None = None,
        transform: Transform | None = None,
        **of_set: Any,
    ) -> None:
        resized = size if name == "images" else None
        self._find: dict[str, Any] = {
            "name": name,
            "path": os.fspath(path),
            "split": split,
            "size": resized,
            **of_set,
        }
        self._frames = Frames(steps, by, duration, crop, None if resized else size)
        self._transform = transform
        self._source = find(**self._find)
        self.shape = shape(self._source, self._frames)

    @property
    def classes(self) -> tuple[str, ...]:
        """Name of each class."""
        return self._source.classes

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> Item:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        x = torch.from_numpy(sample(self._source, index, self._frames)).float()
        label = int(self._source.labels[index])
        return (x if self._transform is None else self._transform(x)), label

    def __getstate__(self) -> dict[str, Any]:
        """For worker processes: the source holds functions, so it is found again there."""
        return {k: v for k, v in self.__dict__.items() if k != "_source"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._source = find(**self._find)


def time_first(items: Sequence[Item]) -> tuple[Tensor, Tensor]:
    """A `collate_fn` for `DataLoader`: x [T, B, C, H, W] as our models take it, y int64 [B]."""
    x, y = zip(*items, strict=True)
    return torch.stack(x, 1), torch.from_numpy(np.array(y, np.int64))
