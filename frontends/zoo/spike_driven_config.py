"""Sizes of the Spike-driven Transformer (v1) as plain, checked data. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .public_config import IsotropicConfig


@dataclass(frozen=True)
class SpikeDrivenConfig(IsotropicConfig):
    """Everything that fixes the shapes and constants of a `SpikeDrivenTransformer`.

    dim         D, channels of a token; divisible by `heads` and by 8
    depth       number of blocks
    pools       one digit per stage of the stem: 1 halves the map, after the neuron in the first
                three stages, before it in the fourth
    dilate      max-pool k, v, k AND v and the attention's result 3x3 (the public `dvs_mode`)
    every_step  in training, give the logits of every time step (TET)

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    dilate: bool = False
    every_step: bool = False

    model: ClassVar[str] = "spike_driven"


def _imagenet(depth: int, dim: int) -> SpikeDrivenConfig:
    return SpikeDrivenConfig(
        image_size=224, num_classes=1000, heads=8, dim=dim, depth=depth, pools="1111"
    )


def _cifar(dim: int, num_classes: int, every_step: bool = False) -> SpikeDrivenConfig:
    return SpikeDrivenConfig(
        num_classes=num_classes, heads=8, dim=dim, depth=2, every_step=every_step
    )


def _gesture(timesteps: int) -> SpikeDrivenConfig:
    return SpikeDrivenConfig(
        in_channels=2,
        image_size=128,
        num_classes=11,
        timesteps=timesteps,
        heads=8,
        dim=256,
        depth=2,
        pools="0111",
    )


SPIKE_DRIVEN: Mapping[str, SpikeDrivenConfig] = {
    "cifar10_2_256": _cifar(256, 10),
    "cifar10_2_512": _cifar(512, 10),
    "cifar10_2_512_tet": _cifar(512, 10, every_step=True),
    "cifar100_2_256": _cifar(256, 100),
    "cifar100_2_512": _cifar(512, 100),
    "gesture_2_256": _gesture(16),
    "gesture_2_256_t10": _gesture(10),
    "cifar10dvs_2_256": SpikeDrivenConfig(
        in_channels=2,
        image_size=64,
        timesteps=10,
        heads=8,
        dim=256,
        depth=2,
        dilate=True,
        every_step=True,
    ),
    "imagenet_8_384": _imagenet(8, 384),
    "imagenet_6_512": _imagenet(6, 512),
    "imagenet_8_512": _imagenet(8, 512),
    "imagenet_10_512": _imagenet(10, 512),
    "imagenet_8_768": _imagenet(8, 768),
}
"""The published sizes (blocks, dim), one per yml file of the public code. Its file named 10_384 has
dim 512."""
