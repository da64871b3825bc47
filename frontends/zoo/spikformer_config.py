"""Sizes of Spikformer as plain, checked data. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .public_config import ORDERS, IsotropicConfig


@dataclass(frozen=True)
class SpikformerConfig(IsotropicConfig):
    """Everything that fixes the shapes and constants of a `Spikformer`.

    dim              D, channels of a token; divisible by `heads` and by 8
    depth            number of blocks
    pools            one digit per stage of the stem: 1 halves the map after that stage's neuron
    attention_scale  the factor before the attention's neuron
    order            which product of (q k^T) v comes first: `qk` or `kv`
    qkv_bias         whether the layers of q, k and v have a bias
    dead_position    hold the position embedding and last norm that the DVS code never reads

    Raises `InputError` SFX-E121, which lists every bad field.
    """

    attention_scale: float = 0.125
    order: str = "qk"
    qkv_bias: bool = True
    dead_position: bool = False

    model: ClassVar[str] = "spikformer"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"order": ORDERS}


def _imagenet(dim: int, heads: int) -> SpikformerConfig:
    return SpikformerConfig(
        image_size=224,
        num_classes=1000,
        heads=heads,
        dim=dim,
        depth=8,
        pools="1111",
        order="kv",
        qkv_bias=False,
    )


SPIKFORMER: Mapping[str, SpikformerConfig] = {
    "cifar10_4_256": SpikformerConfig(dim=256, depth=4, heads=8),
    "cifar10_2_384": SpikformerConfig(dim=384, depth=2, heads=12),
    "cifar10_4_384": SpikformerConfig(dim=384, depth=4, heads=12),
    "cifar100_4_384": SpikformerConfig(num_classes=100, dim=384, depth=4, heads=12),
    "cifar10dvs_2_256": SpikformerConfig(
        in_channels=2,
        image_size=128,
        timesteps=16,
        heads=16,
        dim=256,
        depth=2,
        pools="1111",
        attention_scale=0.25,
        qkv_bias=False,
        dead_position=True,
    ),
    "imagenet_8_384": _imagenet(384, 6),
    "imagenet_8_512": _imagenet(512, 8),
    "imagenet_8_768": _imagenet(768, 12),
}
"""The published sizes (blocks, dim). The public code has those of cifar10_4_384, cifar10dvs_2_256
and imagenet_8_512. Of the others the paper gives blocks and dim; `heads` are unconfirmed, here
d = 32 on CIFAR and d = 64 on ImageNet as in the code's own. No key or parameter shows `heads`, and
another number gives another network: set it if you trained with another."""
