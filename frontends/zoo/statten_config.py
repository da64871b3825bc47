"""Sizes of STAtten as plain, checked data. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...toolchain.ground.errors import Problem
from .spike_driven_config import SpikeDrivenConfig


@dataclass(frozen=True)
class StattenConfig(SpikeDrivenConfig):
    """Everything that fixes the shapes and constants of a `Statten`.

    Fields as of `SpikeDrivenConfig`, but for

    chunk   time steps of a chunk, over whose tokens the attention goes; a divisor of `timesteps`
    dilate  max-pool q, k, v and the spikes that they are made of 3x3, and gate those with the
            attention's result (the public `dvs_mode`)

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    chunk: int = 2

    model: ClassVar[str] = "statten"

    def wrong_values(self) -> list[Problem]:
        """As `CheckedConfig.wrong_values`."""
        return super().wrong_values() + self.indivisible(
            "timesteps", self.timesteps, "chunk", self.chunk
        )


def _cifar(dim: int, num_classes: int) -> StattenConfig:
    return StattenConfig(num_classes=num_classes, heads=8, dim=dim, depth=2)


def _events(num_classes: int, timesteps: int, chunk: int, every_step: bool) -> StattenConfig:
    return StattenConfig(
        in_channels=2,
        image_size=64,
        num_classes=num_classes,
        timesteps=timesteps,
        chunk=chunk,
        heads=8,
        dim=256,
        depth=2,
        dilate=True,
        every_step=every_step,
    )


def _imagenet(dim: int) -> StattenConfig:
    return StattenConfig(image_size=224, num_classes=1000, heads=8, dim=dim, depth=8, pools="1111")


STATTEN: Mapping[str, StattenConfig] = {
    "cifar10_2_256": _cifar(256, 10),
    "cifar10_2_512": _cifar(512, 10),
    "cifar100_2_256": _cifar(256, 100),
    "cifar100_2_512": _cifar(512, 100),
    "cifar10dvs_2_256_t10": _events(10, 10, 5, every_step=True),
    "cifar10dvs_2_256": _events(10, 16, 4, every_step=True),
    "ncaltech101_2_256_t10": _events(101, 10, 5, every_step=False),
    "ncaltech101_2_256": _events(101, 16, 4, every_step=False),
    "imagenet_8_512": _imagenet(512),
    "imagenet_8_768": _imagenet(768),
}
"""The published sizes (blocks, dim), one per yml file of the public code."""
