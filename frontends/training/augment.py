"""Frames of events or images, changed a little before they are learned; counts stay whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from ...toolchain.ground.errors import InputError
from .table import Table


@dataclass(frozen=True)
class Augment(Table):
    """Of each sample x [S, C, H, W], the same for all its steps.

    shift    pixels by which it is moved at most, in x and in y
    turn     degrees by which it is turned at most
    stretch  share by which it grows or shrinks at most, in x and in y
    mode     how moved pixels are read: bilinear (images; rounded), nearest (event counts), or whole
             (moved by whole pixels, neither turned nor stretched: no count changes)
    flip     probability that left and right change places
    drop     share of the pixels, steps and channels whose counts become 0, at most
    cut      edge of a square of zeros, in shares of the frame's, at most
    """

    title: ClassVar[str] = "augment"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"mode": ("bilinear", "nearest", "whole")}
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        "shift": (0, 4096),
        "turn": (0, 180),
        "stretch": (0, 0.9),
        "flip": (0, 1),
        "drop": (0, 1),
        "cut": (0, 1),
    }

    shift: float = 0.0
    turn: float = 0.0
    stretch: float = 0.0
    mode: str = "nearest"
    flip: float = 0.0
    drop: float = 0.0
    cut: float = 0.0

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """x, float [B, S, C, H, W], changed; whole numbers stay whole.

        generator  on the CPU: the same draws on every device

        Raises InputError (SFX-E382) for samples that are no frames and a change that needs them.
        """
        spatial = self.shift or self.turn or self.stretch or self.flip or self.cut
        if spatial and x.dim() != 5:
            raise InputError(
                "SFX-E382",
                f"samples of shape {tuple(x.shape[1:])} are no frames [T, C, H, W]: only `drop` "
                "can be done to them",
                where="[augment]",
            )
        if self.shift or self.turn or self.stretch:
            x = self._shifted(x, generator) if self.mode == "whole" else self._moved(x, generator)
        if self.flip:
            turned = torch.rand(len(x), generator=generator) < self.flip
            x = torch.where(_each(turned, x), x.flip(-1), x)
        if self.drop:
            share = self.drop * torch.rand(len(x), generator=generator)
            kept = torch.rand(x.shape, generator=generator) >= _each(share, x.cpu())
            x = x * kept.to(x.device)
        return self._cut(x, generator) if self.cut else x

    def _moved(self, x: Tensor, generator: torch.Generator) -> Tensor:
        count, size = len(x), (x.shape[-1], x.shape[-2])

        def draw() -> Tensor:
            return 2 * torch.rand(count, generator=generator) - 1  # -1..1

        angle = draw() * math.radians(self.turn)
        wide, high = 1 + draw() * self.stretch, 1 + draw() * self.stretch
        right, down = draw() * 2 * self.shift / size[0], draw() * 2 * self.shift / size[1]
        rows = [
            torch.stack([wide * angle.cos(), -high * angle.sin(), right], 1),
            torch.stack([wide * angle.sin(), high * angle.cos(), down], 1),
        ]
        frames = x.flatten(1, 2)
        where = torch.stack(rows, 1).to(x.device)
        grid = functional.affine_grid(where, list(frames.shape), align_corners=False)
        sampled = functional.grid_sample(frames, grid, self.mode, align_corners=False)
        return sampled.round().reshape(x.shape)

    def _shifted(self, x: Tensor, generator: torch.Generator) -> Tensor:
        most = math.floor(self.shift)
        height, width = x.shape[-2:]
        padded = functional.pad(x, (most, most, most, most))
        moves = torch.randint(0, 2 * most + 1, (len(x), 2), generator=generator).tolist()
        pairs = zip(padded, moves, strict=True)
        return torch.stack([s[..., i : i + height, j : j + width] for s, (i, j) in pairs])

    def _cut(self, x: Tensor, generator: torch.Generator) -> Tensor:
        inside = torch.ones(len(x), *x.shape[-2:], dtype=torch.bool)
        for axis, size in enumerate(x.shape[-2:]):
            edge = self.cut * torch.rand(len(x), generator=generator) * size
            start = torch.rand(len(x), generator=generator) * (size - edge)
            at = torch.arange(size) + 0.5
            hit = (at >= start[:, None]) & (at < (start + edge)[:, None])
            inside &= hit[:, :, None] if axis == 0 else hit[:, None, :]
        return x * ~inside[:, None, None].to(x.device)


def _each(values: Tensor, x: Tensor) -> Tensor:
    """[B] beside x [B, ...]."""
    return values.reshape(-1, *[1] * (x.dim() - 1)).to(x.device)
