"""The models a checkpoint may name: `{"sfx": 1, "model": NAME, "config": ..., "state_dict": ...}`.

Nothing heavy is imported until a model is built.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...toolchain.ground.errors import InputError

if TYPE_CHECKING:
    from torch import nn

_PUBLISHED: dict[str, tuple[str, str]] = {
    "spikformer": ("Spikformer", "SpikformerConfig"),
    "spikingformer": ("Spikingformer", "SpikingformerConfig"),
    "spike_driven": ("SpikeDrivenTransformer", "SpikeDrivenConfig"),
    "spike_driven_v2": ("SpikeDrivenTransformerV2", "SpikeDrivenV2Config"),
    "spike_driven_v3": ("SpikeDrivenTransformerV3", "SpikeDrivenV3Config"),
    "statten": ("Statten", "StattenConfig"),
    "qkformer": ("QKFormer", "QKFormerConfig"),
    "max_former": ("MaxFormer", "MaxFormerConfig"),
    "sglformer": ("SGLFormer", "SGLFormerConfig"),
}
"""Published networks: the file here and the checkpoint's name -> its model and config classes."""

NAMES: tuple[str, ...] = ("spikeformer", *_PUBLISHED)
"""Every name that `build` knows."""


def build(name: str, config: Mapping[str, object]) -> nn.Module:
    """The untrained model `name` with the fields of `config`; absent fields take their defaults.

    Raises `InputError`: SFX-E120 for an unknown name, SFX-E121 for a bad config field.
    """
    if name == "spikeformer":
        from .spikeformer import Spikeformer, SpikeformerConfig

        return Spikeformer(SpikeformerConfig.from_mapping(config))
    if name in _PUBLISHED:
        file = importlib.import_module(f"sfx.frontends.zoo.{name}")
        model, fields = (getattr(file, attribute) for attribute in _PUBLISHED[name])
        built: nn.Module = model(fields.from_mapping(config))
        return built
    raise InputError(
        "SFX-E120",
        f"there is no model named {name!r}",
        where="checkpoint: model",
        hint=f"names: {', '.join(NAMES)}; or give your own with --model pkg.module:factory",
    )
