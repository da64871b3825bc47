"""Sizes of SGLFormer as plain, checked data. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...toolchain.ground.errors import Problem
from .public_config import PublicConfig

FORMS: Mapping[str, int] = {"units": 6, "blocks": 8}
"""Form of the network -> the stem's first width is `dim` over this."""


@dataclass(frozen=True)
class SGLFormerConfig(PublicConfig):
    """Everything that fixes the shapes and constants of an `SGLFormer`.

    dim              D, channels of a token
    depth            units, or blocks behind the local one
    form             `units` (CIFAR, events): convolutions, local and global attention in each unit;
                     the read-out weighs every token and step. `blocks` (ImageNet): one local block,
                     then Spikformer's; the read-out takes means
    pools            one digit per convolution of the stem (5): 1 halves the map before its neuron
    attention_scale  the factor before the attention's neuron

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    image_size: int = 16
    dim: int = 32
    depth: int = 1
    form: str = "blocks"
    pools: str = "00011"
    attention_scale: float = 0.125

    model: ClassVar[str] = "sglformer"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"form": tuple(FORMS)}

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of the image and after each of the stem's five convolutions."""
        return (self.in_channels, *(self.dim // n for n in (FORMS[self.form], 4, 2, 1, 1)))

    @property
    def reduction(self) -> int:
        """2 per pool of the stem."""
        return 1 << self.pools.count("1")

    def wrong_values(self) -> list[Problem]:
        """As `PublicConfig.wrong_values`."""
        found = super().wrong_values()
        if len(self.pools) != 5:
            what = f"{self.pools!r} does not have one digit per convolution of the stem (5)"
            found.append(self.problem("pools", what))
        if (self.image_size // self.reduction) % 2:
            what = f"{self.image_size} leaves a map that local attention cannot halve"
            found.append(self.problem("image_size", what))
        found += self.indivisible("dim", self.dim, "heads", self.heads)
        return found + self.indivisible("dim", self.dim, "4 (the stem's second width)", 4)


def _cifar(num_classes: int) -> SGLFormerConfig:
    return SGLFormerConfig(image_size=32, num_classes=num_classes, heads=16, dim=384, form="units")


def _events(num_classes: int, timesteps: int) -> SGLFormerConfig:
    return SGLFormerConfig(
        in_channels=2,
        image_size=128,
        num_classes=num_classes,
        timesteps=timesteps,
        heads=16,
        dim=256,
        form="units",
        pools="01111",
    )


def _imagenet(dim: int, pools: str) -> SGLFormerConfig:
    return SGLFormerConfig(
        image_size=224,
        num_classes=1000,
        heads=dim // 64,
        dim=dim,
        depth=6,
        pools=pools,
    )


SGLFORMER: Mapping[str, SGLFormerConfig] = {
    "cifar10_4_384": _cifar(10),
    "cifar100_4_384": _cifar(100),
    "cifar10dvs_3_256": _events(10, 16),
    "cifar10dvs_3_256_t10": _events(10, 10),
    "gesture_3_256": _events(11, 16),
    "gesture_3_256_t10": _events(11, 10),
    "imagenet_8_384": _imagenet(384, "11110"),
    "imagenet_8_512": _imagenet(512, "11110"),
    "imagenet_8_768": _imagenet(768, "11110"),
    "imagenet2_8_384": _imagenet(384, "01111"),
    "imagenet2_8_512": _imagenet(512, "01111"),
    "imagenet2_8_768": _imagenet(768, "01111"),
}
"""The published sizes. `imagenet2` are those of the authors' second file, `sglformer_ima2.py`."""
