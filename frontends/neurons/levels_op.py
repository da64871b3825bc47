"""The opaque op `sfx::levels`: an integer neuron without a memory, on whatever axes its input has.

    y = round(clamp(x / threshold, 0, most)), the even one of two

Nothing couples the steps (MultiSpike of the Spike-driven Transformer V3, at T = 1 every I-LIF), so
models call it on [B, C, H, W], on [T * B, C, N] or step by step alike.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from .lif_op import LIBRARY, SPECS, fake, levels

NAME = "sfx::levels"


def _shape(x: Tensor, state: list[Tensor], neuron: int) -> Tensor:
    return torch.empty_like(x)


def _compute(x: Tensor, state: list[Tensor], neuron: int) -> Tensor:
    return levels(x, SPECS[neuron])


LIBRARY.define("levels(Tensor x, Tensor[] state, int neuron) -> Tensor")
LIBRARY.impl("levels", _compute, "CompositeExplicitAutograd")
fake(NAME)(_shape)

_torch: Any = torch  # torch.ops ships without types


def counts(x: Tensor, number: int) -> Tensor:
    """Spikes of x, as many as fit, of the neuron `number`; there is no state."""
    return cast(Tensor, _torch.ops.sfx.levels(x, [], number))
