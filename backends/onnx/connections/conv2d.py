"""Conv2d: one kernel, shared by all positions."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Conv2d
from ..arithmetic import wrap
from ..body import Scope
from ..forms import ConnectionForm, How
from ..sums import matmul, scaled


def connect(c: Conv2d, at: Scope, x: str, how: How) -> str:
    """out = wrap24(conv(W << e, s)); with e < 0 as Sparse. One Gather collects each patch."""
    binary, exponent = how.binary, how.exponent
    out, per_group, kh, kw = c.weight.shape
    patches = _patches(c, at, x, binary)  # [groups, per_group * kh * kw, H' * W']
    kernel = how.widths.effective_weights(c.weight) if exponent < 0 else c.weight << exponent
    kernel = kernel.reshape(c.groups, out // c.groups, per_group * kh * kw)
    total = at.reshape(matmul(at, kernel, patches, binary), -1)
    return scaled(at, total, exponent) if exponent < 0 else wrap(at, total, how.widths.sum_bits)


def _patches(c: Conv2d, at: Scope, x: str, binary: bool) -> str:
    """[groups, channels of a group * kernel positions, output positions], zeros for the padding."""
    channels, height, width = c.in_shape
    _, out_h, out_w = c.out_shape
    _, per_group, kh, kw = c.weight.shape
    row = _reached(kh, out_h, c.stride[0], c.padding[0], c.dilation[0])[:, None, :, None]
    col = _reached(kw, out_w, c.stride[1], c.padding[1], c.dilation[1])[None, :, None, :]
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    source = np.where(inside, row * width + col, height * width).reshape(-1)
    x = at.reshape(x, channels, height * width)
    if not np.array_equal(source, np.arange(height * width)):
        zero = np.zeros((channels, 1), dtype=bool if binary else np.int64)
        x = at.op("Concat", x, at.array(zero), axis=1)
        x = at.op("Gather", x, at.array(source.astype(np.int64)), axis=1)
    return at.reshape(x, c.groups, per_group * kh * kw, out_h * out_w)


def _reached(kernel: int, out: int, stride: int, padding: int, dilation: int) -> IntArray:
    """Input coordinate of each kernel entry at each output coordinate [kernel, out]."""
    return np.add.outer(np.arange(kernel) * dilation, np.arange(out) * stride - padding)


RULE = ConnectionForm(connect)
