"""Sizes of Max-Former as plain, checked data. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...toolchain.ground.errors import Problem
from .public_config import HierarchicalConfig

STEMS: Mapping[str, int] = {"plain": 1, "strided": 4, "pooled": 8}
"""Kind of the first stage's embedding -> how many times smaller than the image its map is."""


@dataclass(frozen=True)
class MaxFormerConfig(HierarchicalConfig):
    """Everything that fixes the shapes and constants of a `MaxFormer`.

    dim              channels of the last stage; each stage before has half of the next one's
    depths           blocks per stage: attention in the last, a depthwise convolution in the others
    kernels          width of that convolution in each stage but the last; 1: none
    stem             `plain` keeps the image's size (CIFAR), `strided` quarters it (ImageNet),
                     `pooled` takes the maximum of currents three times (events)
    attention_scale  the factor before the attention's neuron

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    image_size: int = 16
    kernels: tuple[int, ...] = (1, 3)
    stem: str = "plain"
    attention_scale: float = 0.125

    model: ClassVar[str] = "max_former"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"stem": tuple(STEMS)}

    @property
    def reduction(self) -> int:
        """That of the stem, and 2 per stage after the first."""
        return STEMS[self.stem] << (len(self.depths) - 1)

    def wrong_values(self) -> list[Problem]:
        """As `CheckedConfig.wrong_values`."""
        found = super().wrong_values()
        early = len(self.depths) - 1
        if len(self.kernels) != early:
            what = f"{self.kernels!r} does not have one width per stage but the last ({early})"
            found.append(self.problem("kernels", what))
        if any(kernel % 2 == 0 for kernel in self.kernels):
            found.append(self.problem("kernels", f"{self.kernels!r} has an even width"))
        found += self.indivisible("dim", self.dim, "heads", self.heads)
        divisor = 8 if self.stem == "pooled" else 2
        return found + self.indivisible("dim", self.dims[0], "the stem's first width", divisor)


def _cifar(num_classes: int) -> MaxFormerConfig:
    return MaxFormerConfig(
        image_size=32, num_classes=num_classes, heads=8, dim=384, depths=(1, 1, 2)
    )


def _events(num_classes: int) -> MaxFormerConfig:
    return MaxFormerConfig(
        in_channels=2,
        image_size=128,
        num_classes=num_classes,
        timesteps=16,
        heads=16,
        mlp_ratio=1.0,
        dim=256,
        depths=(1, 1),
        kernels=(3,),
        stem="pooled",
    )


def _imagenet(dim: int, timesteps: int = 4) -> MaxFormerConfig:
    return MaxFormerConfig(
        image_size=224,
        num_classes=1000,
        timesteps=timesteps,
        heads=dim // 64,
        dim=dim,
        depths=(1, 2, 7),
        kernels=(7, 5),
        stem="strided",
    )


MAX_FORMER: Mapping[str, MaxFormerConfig] = {
    "cifar10_4_384": _cifar(10),
    "cifar100_4_384": _cifar(100),
    "cifar10dvs_2_256": _events(10),
    "gesture_2_256": _events(11),
    "imagenet_10_384": _imagenet(384),
    "imagenet_10_512": _imagenet(512),
    "imagenet_10_512_t1": _imagenet(512, timesteps=1),
    "imagenet_10_768": _imagenet(768),
    "imagenet_10_768_t1": _imagenet(768, timesteps=1),
}
"""The published sizes (blocks, dim), one per configuration file of the public code."""
