"""LI: leaky integrate without fire, a membrane that is read out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ....toolchain.ground.arith import INPUT_SHIFT, wrap32
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import LI
from ..layout import Values
from ..rules import Resets, Sending, Settling

if TYPE_CHECKING:
    from torch import Tensor


def steps(
    n: LI, ports: Mapping[str, Values], to: Sending, resets: Resets, widths: Arithmetic
) -> None:
    """All neurons of all lanes together, step by step."""
    assert to.bias is not None
    a, bias = ports["a_in"], to.bias.astype(np.int64)
    u = v = np.zeros((len(a), a.shape[2]), np.int64)
    for t in range(a.shape[1]):
        now = a[:, t].astype(np.int64)
        if (t - resets.first) % resets.every == 0:
            u, v = np.zeros_like(u), np.zeros_like(v)
        to.active[t] += np.count_nonzero((now | u | v | bias) != 0, axis=0).astype(np.uint8)
        kept = widths.decayed(u, widths.full_decay - n.du)
        u = widths.wrap_current(kept + wrap32(now << INPUT_SHIFT))
        v = widths.saturate_membrane(widths.decayed(v, widths.decay_unity - n.dv) + u + bias)
        to.out[:, t] = v
        to.events[t] += np.count_nonzero(v, axis=0).astype(np.uint8)
    to.ends[0] = to.out.min(initial=0), to.out.max(initial=0)


def on_device(
    n: LI, a: Tensor, state: tuple[Tensor, Tensor], bias: Tensor, widths: Arithmetic
) -> tuple[Tensor, Tensor, Tensor]:
    """What is sent, v, then u and v after the step."""
    from ..kernels.on_device import leaky

    u, v = leaky((n.du, n.dv), a, state, bias, widths)
    return v, u, v


RULE = Settling(on_device, steps)
