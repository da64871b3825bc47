"""Sizes of the Spike-driven Transformer v2 (Meta-SpikeFormer) as plain, checked data. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from .meta_former_config import MetaFormerConfig
from .public_config import PublicConfig


@dataclass(frozen=True)
class SpikeDrivenV2Config(MetaFormerConfig, PublicConfig):
    """Everything that fixes the shapes and constants of a `SpikeDrivenTransformerV2`.

    dims             channels of the four stages; the last two divisible by `heads`
    depths           blocks of attention in stages 3 and 4
    attention_scale  the factor before the attention's neuron
    distillation     a second read-out, averaged with the first in `eval()`

    `mlp_ratio` is that of the attention blocks; the convolution blocks widen by 4 always.
    Raises `InputError` SFX-E121, which lists every bad field.
    """

    attention_scale: float = 0.125
    distillation: bool = False

    model: ClassVar[str] = "spike_driven_v2"


def _imagenet(*dims: int, distillation: bool = False) -> SpikeDrivenV2Config:
    return SpikeDrivenV2Config(
        image_size=224,
        num_classes=1000,
        heads=8,
        dims=dims,
        depths=(6, 2),
        distillation=distillation,
    )


SPIKE_DRIVEN_V2: Mapping[str, SpikeDrivenV2Config] = {
    "imagenet_8_256": _imagenet(64, 128, 256, 360),
    "imagenet_8_384": _imagenet(96, 192, 384, 480),
    "imagenet_8_512": _imagenet(128, 256, 512, 640),
    "imagenet_8_768": _imagenet(192, 384, 768, 960),
    "imagenet_8_384_kd": _imagenet(96, 192, 384, 480, distillation=True),
    "imagenet_8_512_kd": _imagenet(128, 256, 512, 640, distillation=True),
    "imagenet_8_768_kd": _imagenet(192, 384, 768, 960, distillation=True),
}
"""The published sizes (blocks, width of stage 3), with T = 4. Training starts at T = 1, and the
public recipe fine-tunes at T = 4 with a teacher: such checkpoints hold `head_kd` and are the `_kd`
sizes. Unconfirmed: imagenet_8_256, which the public code does not build (its widths are remembered
and have the published 15.1 M parameters)."""
