"""A network and samples that are learned in seconds: four patterns of events."""

from __future__ import annotations

from typing import Any

import torch

from sfx.frontends.training.samples import Arrays
from sfx.frontends.zoo.spikeformer import Spikeformer, SpikeformerConfig

CONFIG = SpikeformerConfig(
    in_channels=1, image_size=8, stem=(4,), dim=8, heads=2, timesteps=3, num_classes=4, depth=2
)


def network(seed: int = 0, **changes: Any) -> Spikeformer:
    """Untrained."""
    torch.manual_seed(seed)
    return Spikeformer(SpikeformerConfig(**{**vars(CONFIG), **changes}))


def patterns(count: int = 40, seed: int = 0) -> Arrays:
    """x uint8 [count, 3, 1, 8, 8]: each class has events of its own, and some are lost."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 4
    x = torch.zeros(count, 3, 1, 8, 8)
    for i, label in enumerate(y.tolist()):
        x[i, :, 0, 2 * label : 2 * label + 2] = 3.0
    lost = torch.rand(x.shape, generator=generator) < 0.3
    return Arrays.of((x * ~lost).to(torch.uint8).numpy(), y.numpy())
