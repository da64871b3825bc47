"""Conv2d: one kernel, shared by all positions (PyTorch's cross-correlation)."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arith import IntArray, wrap, wrap32
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Conv2d
from ..exponent import shift
from ..types import ConnectionRule, Synapses


def synapses(c: Conv2d, exponent: int, widths: Arithmetic) -> Synapses:
    """Integer semantics 3.3: out = wrap24(conv(W << e, s)), W neither clipped nor truncated.

    A negative exponent is not the kernel's: such a projection is built as Sparse, by 3.1:
    out = i32(conv(W, s)) >> -e, with W clipped and truncated. s [B, pre] -> [B, post].
    """
    as_sparse = exponent < 0
    kernel = widths.effective_weights(c.weight) if as_sparse else c.weight << exponent

    def apply(s: IntArray) -> IntArray:
        total = correlate(c, kernel, s.reshape(len(s), *c.in_shape))
        out = shift(wrap32(total), exponent) if as_sparse else wrap(total, widths.sum_bits)
        return out.reshape(len(s), -1)

    return apply


def correlate(c: Conv2d, kernel: IntArray, x: IntArray) -> IntArray:
    """y[o, i, j] = sum over m, a, b of W[o, m, a, b] * x[m, s*i + d*a - p, s*j + d*b - p].

    s, d, p are stride, dilation, padding of each axis; m runs over the input channels of o's
    group. x [B, I, H, W] -> [B, O, H', W'].
    """
    (ph, pw), (sh, sw), (dh, dw) = c.padding, c.stride, c.dilation
    _, height, width = c.out_shape
    lanes, g = len(x), c.groups
    out, per_group, kh, kw = kernel.shape
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    total = np.zeros((lanes, g, out // g, height * width), dtype=np.int64)
    for a in range(kh):
        for b in range(kw):
            rows = slice(a * dh, a * dh + (height - 1) * sh + 1, sh)
            columns = slice(b * dw, b * dw + (width - 1) * sw + 1, sw)
            seen = padded[:, :, rows, columns].reshape(lanes, g, per_group, height * width)
            total += kernel[:, :, a, b].reshape(g, out // g, per_group) @ seen
    return total.reshape(lanes, *c.out_shape)


RULE = ConnectionRule(synapses)
