"""Sizes of the Spike-driven Transformer v3 (E-SpikeFormer) as plain, checked data. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .meta_former_config import MetaFormerConfig
from .public_config import ORDERS


@dataclass(frozen=True)
class SpikeDrivenV3Config(MetaFormerConfig):
    """Everything that fixes the shapes and constants of a `SpikeDrivenTransformerV3`.

    dims    channels of the four stages; the last two divisible by `heads`
    depths  blocks of attention in stages 3 and 4
    most    D, the spikes that a neuron sends in a step at the most
    order   how (q k^T) v is taken: `qk` first, as the public code, or `kv` first. The numbers are
            whole over D^3, so both are exact and equal; k^T v is less where tokens outnumber d

    `mlp_ratio` is that of the attention blocks; the convolution blocks widen by 4 always. The
    published networks take one step (T = 1), whose D virtual steps are the spikes of a neuron.
    Raises `InputError` SFX-E121, which lists every bad field.
    """

    timesteps: int = 1
    most: int = 4
    order: str = "kv"

    model: ClassVar[str] = "spike_driven_v3"
    choices: ClassVar[Mapping[str, tuple[str, ...]]] = {"order": ORDERS}


def _imagenet(*dims: int) -> SpikeDrivenV3Config:
    return SpikeDrivenV3Config(image_size=224, num_classes=1000, heads=8, dims=dims, depths=(6, 2))


SPIKE_DRIVEN_V3: Mapping[str, SpikeDrivenV3Config] = {
    "imagenet_t": _imagenet(24, 48, 96, 128),
    "imagenet_s": _imagenet(32, 64, 128, 192),
    "imagenet_m": _imagenet(48, 96, 192, 240),
    "imagenet_l": _imagenet(64, 128, 256, 360),
}
"""The sizes of the public code, by the letter of its factory. Those of 5.1, 10 and 19 million
parameters (s, m, l) have published checkpoints, all at T = 1 with D = 4."""
