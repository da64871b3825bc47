"""MultiLevel: sends how many levels its input has passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ....toolchain.ir.program import MultiLevel
from ..kernels import neurons as kernels
from ..layout import Values
from ..rules import Sending, Stateless

if TYPE_CHECKING:
    from torch import Tensor


def steps(n: MultiLevel, ports: Mapping[str, Values], to: Sending) -> None:
    """A block of neurons at a time."""
    assert to.bias is not None
    up, down = (np.array(levels, np.int64) for levels in (n.up, n.down))
    kernels.multi_level(ports["a_in"], to.bias, up, down, to.out, to.events, to.active, to.ends)


def on_device(n: MultiLevel, ports: Mapping[str, Tensor]) -> Tensor:
    """One step."""
    import torch

    a = ports["a_in"]
    v = a + torch.from_numpy(n.bias.reshape(-1)).to(a.device)
    sent = torch.zeros_like(a)
    for level in n.up:
        sent += (v > level).to(sent.dtype)
    for level in n.down:
        sent -= (v < level).to(sent.dtype)
    return sent


RULE = Stateless(steps, on_device)
