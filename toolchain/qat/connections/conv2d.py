"""Conv2d: one kernel, shared by all positions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from ...ir.program import Conv2d
from ..rules import ConnectionRule
from .dense import largest_sum


def convolved(c: Conv2d, x: Tensor, weight: Tensor) -> Tensor:
    """Direct sums of products, which are exact on whole numbers; cuDNN might choose FFT."""
    image = x.reshape(len(x), *c.in_shape)
    if c.weight.shape[2:] == (1, 1) and c.groups == 1 and (*c.stride, *c.padding) == (1, 1, 0, 0):
        return torch.matmul(weight.flatten(1), image.flatten(2)).reshape(len(x), -1)
    with torch.backends.cudnn.flags(enabled=False):
        out = functional.conv2d(image, weight, None, c.stride, c.padding, c.dilation, c.groups)
    return out.reshape(len(x), -1)


RULE = ConnectionRule(lambda c, post: lambda x, w: convolved(c, x, w), largest_sum)
