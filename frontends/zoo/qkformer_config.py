"""Sizes of QKFormer as plain, checked data. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ...toolchain.ground.errors import Problem
from .public_config import HierarchicalConfig


@dataclass(frozen=True)
class QKFormerConfig(HierarchicalConfig):
    """Everything that fixes the shapes and constants of a `QKFormer`.

    dim              channels of the last stage; each stage before has half of the next one's
    depths           blocks per stage: SSA in the last, token attention in the others
    stem_divisors    widths of the stem's convolutions: the first stage's over these
    stem_pools       one digit per convolution of the stem: 1 halves the map before its neuron
    stem_branch      after how many of these convolutions the shortcut leaves
    down_pools       of the two convolutions between stages, 1 for the one whose neuron has the pool
    attention_scale  the factor before SSA's neuron

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    dim: int = 64
    stem_divisors: tuple[int, ...] = (2, 1)
    stem_pools: str = "00"
    stem_branch: int = 1
    down_pools: str = "01"
    attention_scale: float = 0.125

    model: ClassVar[str] = "qkformer"

    @property
    def reduction(self) -> int:
        """2 per pool of the stem and per stage after the first."""
        return 1 << (self.stem_pools.count("1") + len(self.depths) - 1)

    @property
    def stem_stride(self) -> int:
        """Stride of the stem's shortcut: 2 per pool that it goes round."""
        return 1 << self.stem_pools[self.stem_branch :].count("1")

    def wrong_values(self) -> list[Problem]:
        """As `CheckedConfig.wrong_values`."""
        found = super().wrong_values()
        stem = len(self.stem_divisors)
        if len(self.stem_pools) != stem:
            what = (
                f"{self.stem_pools!r} does not have one digit per convolution of the stem ({stem})"
            )
            found.append(self.problem("stem_pools", what))
        if self.down_pools not in ("01", "10"):
            found.append(self.problem("down_pools", f"{self.down_pools!r} is not 01 or 10"))
        if self.stem_branch >= stem:
            what = f"{self.stem_branch} is not before the last of {stem} convolutions"
            found.append(self.problem("stem_branch", what))
        if self.stem_divisors[-1] != 1:
            what = f"{self.stem_divisors!r} does not end in 1, the first stage's width"
            found.append(self.problem("stem_divisors", what))
        for divisor in (self.heads, *self.stem_divisors):
            found += self.indivisible("dim", self.dims[0], "heads or a stem divisor", divisor)
        return found


def _events(num_classes: int, mlp_ratio: float) -> QKFormerConfig:
    return QKFormerConfig(
        in_channels=2,
        image_size=128,
        num_classes=num_classes,
        timesteps=16,
        heads=16,
        mlp_ratio=mlp_ratio,
        dim=256,
        depths=(1, 1),
        stem_divisors=(8, 4, 2, 1),
        stem_pools="0111",
        stem_branch=2,
    )


def _imagenet(dim: int, heads: int, size: int = 224) -> QKFormerConfig:
    return QKFormerConfig(
        image_size=size,
        num_classes=1000,
        heads=heads,
        dim=dim,
        depths=(1, 2, 7),
        stem_divisors=(2, 1, 1),
        stem_pools="110",
        stem_branch=1,
        down_pools="10",
    )


QKFORMER: Mapping[str, QKFormerConfig] = {
    "cifar10_4_384": QKFormerConfig(heads=8, dim=384, depths=(1, 1, 2)),
    "cifar100_4_384": QKFormerConfig(num_classes=100, heads=8, dim=384, depths=(1, 1, 2)),
    "cifar10dvs_2_256": _events(10, 1.0),
    "gesture_2_256": _events(11, 4.0),
    "imagenet_10_384": _imagenet(384, 6),
    "imagenet_10_512": _imagenet(512, 8),
    "imagenet_10_768": _imagenet(768, 12),
    "imagenet_10_768_288": _imagenet(768, 12, 288),
    "imagenet_10_768_384": _imagenet(768, 12, 384),
}
"""The published sizes (blocks, dim of the last stage; image edge), as the public code builds them.
On images T is 4, as its training scripts set it (the ImageNet factory's default is 1)."""
