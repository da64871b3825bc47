"""A DATA file as a torch `Dataset`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..ground.errors import InputError
from .mapped import mapped


class FileDataset(Dataset[tuple[Tensor, int]]):
    """The samples of a DATA file with labels: x float32 [T, *input shape], y its class number.

    A file written by `sfx data convert --uncompressed` is mapped, so it may be larger than memory.

    transform  x -> x, for augmentation

    Raises `InputError` SFX-E610, SFX-E611 as `sfx.toolchain.data.read` does, and SFX-E611 for a
    file without labels.
    """

    def __init__(
        self, path: str | os.PathLike[str], transform: Callable[[Tensor], Tensor] | None = None
    ) -> None:
        data = mapped(Path(path))
        if data.y is None:
            hint = "sfx data convert writes y [samples]"
            raise InputError("SFX-E611", "has no labels y", where=str(path), hint=hint)
        self._x, self._y, self._transform = data.x, data.y, transform

    def __len__(self) -> int:
        return len(self._y)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x = torch.from_numpy(np.array(self._x[index], np.float32))
        return (x if self._transform is None else self._transform(x)), int(self._y[index])
