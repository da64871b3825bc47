"""Where training samples are from: frames in memory or on disk, or recordings that are binned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..datasets.options import Frames
from ..datasets.sample import sample
from ..datasets.source import Source
from ..events.events import Events
from ..events.spikingjelly import RULES
from .event_augment import EventAugment

LOOKED_AT = 256
"""Samples at once, while it is found out whether each is one image all the time."""


class Samples(Protocol):
    """Labelled samples, a batch at a time."""

    @property
    def labels(self) -> Tensor:
        """Class of each sample, int64 [K]."""
        ...

    def batch(self, index: Tensor, generator: torch.Generator | None) -> Tensor:
        """Float [B, S, ...], S = T, or 1 for images that every step repeats.

        generator  for changes that are made before frames exist; None: samples as they are
        """
        ...

    def subset(self, index: Tensor) -> Samples:
        """Those that `index` numbers."""
        ...


@dataclass(frozen=True, eq=False)
class Arrays:
    """Frames x, whole numbers [K, S, ...], in memory or mapped, and labels [K]."""

    x: NDArray[Any]
    labels: Tensor

    @classmethod
    def of(cls, x: NDArray[Any], y: NDArray[Any]) -> Arrays:
        """Of DATA. Images that stand still at every step are kept once."""
        labels = torch.from_numpy(np.asarray(y, np.int64))
        parts = (x[i : i + LOOKED_AT] for i in range(0, len(x), LOOKED_AT))
        still = all(bool((part == part[:, :1]).all()) for part in parts)
        return cls(x[:, :1] if still else x, labels)

    def batch(self, index: Tensor, generator: torch.Generator | None) -> Tensor:
        """As `Samples`."""
        return torch.from_numpy(np.ascontiguousarray(self.x[index.numpy()], np.float32))

    def subset(self, index: Tensor) -> Part:
        """As `Samples`; nothing is copied."""
        return Part(self, index)


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples of others."""

    whole: Arrays
    index: Tensor

    @property
    def labels(self) -> Tensor:
        """As `Samples`."""
        return self.whole.labels[self.index]

    def batch(self, index: Tensor, generator: torch.Generator | None) -> Tensor:
        """As `Samples`."""
        return self.whole.batch(self.index[index], generator)

    def subset(self, index: Tensor) -> Part:
        """As `Samples`."""
        return Part(self.whole, self.index[index])


@dataclass(frozen=True, eq=False)
class Recordings:
    """A data set as it was downloaded; each recording is read, changed and binned when it is asked
    for.
    """

    source: Source
    frames: Frames
    augment: EventAugment | None = None

    @property
    def labels(self) -> Tensor:
        """As `Samples`."""
        return torch.from_numpy(self.source.labels)

    def batch(self, index: Tensor, generator: torch.Generator | None) -> Tensor:
        """As `Samples`. Raises InputError as the readers do."""
        seeds = (
            None
            if generator is None or self.augment is None
            else torch.randint(2**62, (len(index),), generator=generator).tolist()
        )
        read = []
        for place, i in enumerate(index.tolist()):
            source, frames = self.source, self.frames
            if seeds is not None:
                source, frames = self._changed(i, seeds[place])
            read.append(sample(source, i, frames))
        return torch.from_numpy(np.stack(read)).float()

    def _changed(self, index: int, seed: int) -> tuple[Source, Frames]:
        """The set with this recording as it is learned this time, as long as it was."""
        assert self.augment is not None
        events, frames = self.source.read(index), self.frames
        if not isinstance(events, Events) or self.source.sensor is None:
            return self.source, frames
        if frames.duration is None and frames.by not in RULES:
            frames = replace(frames, duration=int(events.t.max(initial=0)) + 1)
        new = self.augment(events, self.source.sensor, np.random.default_rng(seed))
        return replace(self.source, read=lambda _: new), frames

    def subset(self, index: Tensor) -> Recordings:
        """As `Samples`."""
        return replace(self, source=self.source.pick(index.numpy()))
