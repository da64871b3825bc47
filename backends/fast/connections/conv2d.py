"""Conv2d: one kernel, shared by all positions."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Conv2d
from ..kernels import sums as kernels
from ..layout import Values
from ..rules import Apply, ConnectionRule, Setting, largest_of_rows

if TYPE_CHECKING:
    from torch import Tensor


def apply(c: Conv2d, weight: IntArray, pre: int, post: int, sums: Any) -> Apply:
    """Event by event, into all channels at once."""
    return conv(c, weight if sums is np.int64 else weight.astype(np.int16), sums)


def conv(c: Conv2d, kernel: Values, sums: Any) -> Apply:
    """With this kernel, int16 unless sums are int64."""
    outputs, per_group, kh, kw = kernel.shape
    groups = c.groups
    grouped = kernel.reshape(groups, outputs // groups, per_group, kh * kw)
    weight = np.ascontiguousarray(grouped.transpose(0, 2, 3, 1)).reshape(
        groups * per_group, kh * kw, outputs // groups
    )
    place = _places(c, kh, kw)
    positions = c.out_shape[1] * c.out_shape[2]

    def apply(s: Values) -> Values:
        acc = np.zeros((len(s), positions, outputs), dtype=sums)
        kernels.add_events(s.reshape(len(s), c.in_shape[0], -1), weight, place, per_group, acc)
        return acc.transpose(0, 2, 1)

    return apply


def _places(c: Conv2d, kh: int, kw: int) -> NDArray[np.int32]:
    """[input positions, kernel positions]: the output position that sees it there, or -1."""
    _, height, width = c.in_shape
    _, out_h, out_w = c.out_shape
    y = np.arange(height)[:, None] + c.padding[0] - np.arange(kh) * c.dilation[0]
    x = np.arange(width)[:, None] + c.padding[1] - np.arange(kw) * c.dilation[1]
    row, column = y // c.stride[0], x // c.stride[1]
    row_ok = (y % c.stride[0] == 0) & (row >= 0) & (row < out_h)
    column_ok = (x % c.stride[1] == 0) & (column >= 0) & (column < out_w)
    at = row[:, None, :, None] * out_w + column[None, :, None, :]
    ok = row_ok[:, None, :, None] & column_ok[None, :, None, :]
    return np.where(ok, at, -1).reshape(height * width, kh * kw).astype(np.int32)


def on_device(c: Conv2d, weight: IntArray, to: Setting) -> Callable[[Tensor], Tensor]:
    """[N, O * positions], as one product per group of the columns under the kernel.

    Not torch's own convolution: libraries may choose a transform (Winograd, FFT) that is not exact.
    """
    import torch
    from torch.nn import functional

    from ..kernels.on_device import exact_matmul

    kh, kw = c.weight.shape[2:]
    rows = np.ascontiguousarray(weight.reshape(c.groups, len(weight) // c.groups, -1))
    by_group = torch.from_numpy(rows).to(to.kind).to(to.device)

    def total(s: Tensor) -> Tensor:
        x = s.to(to.kind).reshape(len(s), *c.in_shape)
        if (kh, kw) == (1, 1) and c.stride == (1, 1) and c.padding == (0, 0):
            columns = x.flatten(2)
        else:
            columns = functional.unfold(x, (kh, kw), c.dilation, c.padding, c.stride)
        grouped = columns.reshape(len(s), c.groups, -1, columns.shape[-1])
        return exact_matmul(by_group, grouped).long().reshape(len(s), -1)

    return total


RULE = ConnectionRule(
    apply,
    largest_of_rows,
    on_device,
    kernel=True,
    convolved=lambda c, weight: c,
    columns=lambda c: prod(c.weight.shape[2:]),
)
