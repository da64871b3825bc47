"""Dense: one weight per pair of neurons, as a convolution of one position."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Conv2d, Dense
from ..rules import Apply, ConnectionRule, Setting, largest_of_rows
from . import conv2d

if TYPE_CHECKING:
    from torch import Tensor


def convolved(c: Dense, weight: IntArray) -> Conv2d:
    """1x1 over one position."""
    outputs, inputs = weight.shape
    return Conv2d(weight[:, :, None, None], (inputs, 1, 1), (outputs, 1, 1))


def apply(c: Dense, weight: IntArray, pre: int, post: int, sums: Any) -> Apply:
    """Event by event, into all post neurons at once."""
    one = convolved(c, weight)
    return conv2d.apply(one, one.weight, pre, post, sums)


def on_device(c: Dense, weight: IntArray, to: Setting) -> Callable[[Tensor], Tensor]:
    """One matrix product."""
    import torch

    from ..kernels.on_device import exact_matmul

    rows = torch.from_numpy(np.ascontiguousarray(weight)).to(to.kind).to(to.device)
    return lambda s: exact_matmul(s.to(to.kind), rows.T).long()


RULE = ConnectionRule(apply, largest_of_rows, on_device, convolved=convolved)
