"""The models a checkpoint may name: `{"sfx": 1, "model": NAME, "config": {...}, "state_dict": ...}`.

Nothing heavy is imported until a model is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sfx.toolchain.errors import InputError

if TYPE_CHECKING:
    from torch import nn

NAMES: tuple[str, ...] = ("spikeformer",)
"""Every name that `build` knows."""


def build(name: str, config: Mapping[str, object]) -> nn.Module:
    """The untrained model `name` with the fields of `config`; absent fields take their defaults.

    Raises `InputError`: SFX-E120 for an unknown name, SFX-E121 for a bad config field.
    """
    if name == "spikeformer":
        from sfx.frontends.zoo.spikeformer import Spikeformer, SpikeformerConfig

        return Spikeformer(SpikeformerConfig.from_mapping(config))
    raise InputError(
        "SFX-E120",
        f"there is no model named {name!r}",
        where="checkpoint: model",
        hint=f"names: {', '.join(NAMES)}; or give your own with --model pkg.module:factory",
    )
