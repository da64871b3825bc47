"""Sizes of Spikingformer as plain, checked data. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .public_config import ORDERS, IsotropicConfig


@dataclass(frozen=True)
class SpikingformerConfig(IsotropicConfig):
    """Everything that fixes the shapes and constants of a `Spikingformer`.

    dim              D, channels of a token; divisible by `heads` and by 8
    depth            number of blocks
    pools            one digit per neuron of the stem: 1 halves the map after that neuron
    attention_scale  the factor before the attention's neuron
    order            which product of (q k^T) v comes first: `qk` or `kv`

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    attention_scale: float = 0.125
    order: str = "qk"

    model: ClassVar[str] = "spikingformer"
    pool_place: ClassVar[str] = "neuron"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"order": ORDERS}


def _events(num_classes: int) -> SpikingformerConfig:
    return SpikingformerConfig(
        in_channels=2,
        image_size=128,
        num_classes=num_classes,
        timesteps=16,
        heads=16,
        tau=1.5,
        dim=256,
        depth=2,
        pools="1111",
    )


def _imagenet(dim: int) -> SpikingformerConfig:
    return SpikingformerConfig(
        image_size=224,
        num_classes=1000,
        heads=8,
        dim=dim,
        depth=8,
        pools="1111",
        order="kv",
    )


SPIKINGFORMER: Mapping[str, SpikingformerConfig] = {
    "cifar10_4_256": SpikingformerConfig(dim=256, depth=4, heads=8),
    "cifar10_2_384": SpikingformerConfig(dim=384, depth=2, heads=12),
    "cifar10_4_384": SpikingformerConfig(dim=384, depth=4, heads=12),
    "cifar100_4_384": SpikingformerConfig(num_classes=100, dim=384, depth=4, heads=8),
    "cifar10dvs_2_256": _events(10),
    "gesture_2_256": _events(11),
    "imagenet_8_384": _imagenet(384),
    "imagenet_8_512": _imagenet(512),
    "imagenet_8_768": _imagenet(768),
}
"""The published sizes (blocks, dim). `heads` are those of the authors' yml files and logs: 12 for
cifar10_4_384, 8 for cifar100_4_384 and on ImageNet at every dim (8-512 and 8-768 by their logs).
Unconfirmed: `heads` of cifar10_4_256, cifar10_2_384 and imagenet_8_384. No key or parameter shows
`heads`, and another number gives another network: set it if you trained with another."""
