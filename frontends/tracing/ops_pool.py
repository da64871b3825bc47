"""Pools: the largest value or the mean of windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import nir
import numpy as np
from torch import Tensor, fx

from ...toolchain.formats.nir import ext
from ..neurons.refusal import Refusal
from .emitter import Emitter, Stream, needs_steps, no_time
from .ops_math import Operand
from .ops_select import taken
from .rules import per_axis, result_shape, rule


def _pool(
    e: Emitter,
    node: fx.Node,
    x: Operand,
    kind: str,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    rank: int,
) -> Stream:
    """A pool over the last `rank` axes; everything before them that is space counts as channels."""
    if not isinstance(x, Stream):
        raise TypeError("the pooled value is no stream")
    for axis in range(-rank, 0):
        no_time(x, axis, "a pool over the time axis")
    window = (1,) * (2 - rank) + per_axis(kernel, rank)
    step = (1,) * (2 - rank) + (per_axis(stride, rank) if len(stride) else window[2 - rank :])
    pad = (0,) * (2 - rank) + per_axis(padding, rank)
    out = result_shape(node)[-rank:]
    if kind == "max":
        x = _with_last_repeated(e, x, window[-rank:], step[-rank:], pad[-rank:], out)
    plane = tuple(x.dims.shape[-rank:])
    tall = (1,) * (2 - rank) + plane
    channels = math.prod(x.shape) // math.prod(plane)
    expected = tuple(
        (n + 2 * p - k) // s + 1 for n, k, s, p in zip(tall, window, step, pad, strict=True)
    )
    made: nir.NIRNode
    if kind == "max":
        made = ext.MaxPool2d((channels, *tall), window, step, pad)
    else:
        made = nir.AvgPool2d(*(np.array(v) for v in (window, step, pad)))
        made.input_type = {"input": np.array((channels, *tall))}
        made.output_type = {"output": np.array((channels, *expected))}
    if expected[2 - rank :] != out:
        raise Refusal("SFX-E107", "a mean with ceil_mode that adds windows", "use ceil_mode=False")
    name = e.reshape(x.name, x.shape, (channels, *tall))
    name = e.add(made, "pool", name, main=True)
    dims = x.dims.with_axes([*x.dims.axes[:-rank], *((n,) for n in out)])
    name = e.reshape(name, (channels, *expected), dims.step_shape)
    return replace(x, name=name, dims=dims)


def _with_last_repeated(
    e: Emitter,
    x: Stream,
    window: Sequence[int],
    step: Sequence[int],
    pad: Sequence[int],
    out: Sequence[int],
) -> Stream:
    """`x` with its last row and column repeated where ceil_mode adds windows that reach over them.

    Such a window contains the last one anyway, so its maximum stays.
    """
    rank = len(out)
    for axis, k, s, p, count in zip(range(-rank, 0), window, step, pad, out, strict=True):
        length = x.dims.shape[axis]
        more = (count - 1) * s + k - length - 2 * p
        if more > 0 and count > (length + 2 * p - k) // s + 1:
            index = [*range(length), *[length - 1] * more]
            x = taken(e, x, len(x.dims.axes) + axis, index, "pads")
    return x


@rule("aten::max_pool2d_with_indices", "aten::max_pool2d", "aten::max_pool1d",
      "aten::max_pool1d_with_indices")  # fmt: skip
def max_pool(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Any:
    """Maximum over windows: the OR of spikes."""
    needs_steps(x, "a max-pool")
    if any(d != 1 for d in per_axis(dilation, 1)):
        raise Refusal("SFX-E107", "a dilated max-pool", "use dilation=1")
    rank = 1 if "1d" in str(node.target) else 2
    made = _pool(e, node, x, "max", kernel, stride, padding, rank)
    return made if isinstance(node.meta["val"], Tensor) else (made, None)


@rule("aten::max_pool3d_with_indices", "aten::max_pool3d")
def max_pool_of_planes(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Any:
    """Maximum over windows (1, k, k), which are windows of each plane."""
    needs_steps(x, "a max-pool")
    sizes, steps = per_axis(kernel, 3), per_axis(stride, 3) if len(stride) else per_axis(kernel, 3)
    pads, wide = per_axis(padding, 3), per_axis(dilation, 3)
    if (sizes[0], steps[0], pads[0]) != (1, 1, 0) or any(d != 1 for d in wide):
        hint = "use MaxPool2d, or windows (1, k, k): each step and channel is pooled on its own"
        raise Refusal("SFX-E107", "a max-pool over the third axis from the end", hint)
    made = _pool(e, node, x, "max", sizes[1:], steps[1:], pads[1:], 2)
    return made if isinstance(node.meta["val"], Tensor) else (made, None)


@rule("aten::avg_pool2d", "aten::avg_pool1d")
def avg_pool(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Stream:
    """Mean over windows, zeros of the padding counted."""
    if divisor_override is not None or (any(padding) and not count_include_pad):
        raise Refusal("SFX-E107", "a mean pool with another divisor than its window's size")
    rank = 1 if "1d" in str(node.target) else 2
    return _pool(e, node, x, "mean", kernel, stride, padding, rank)


@rule("aten::adaptive_avg_pool2d", "aten::_adaptive_avg_pool2d", "aten::adaptive_avg_pool1d")
def adaptive_avg_pool(e: Emitter, node: fx.Node, x: Stream, size: Sequence[int]) -> Stream:
    """Mean over equal windows that leave `size` values."""
    rank = 1 if "1d" in str(node.target) else 2
    plane, out = x.dims.shape[-rank:], result_shape(node)[-rank:]
    if any(n % m for n, m in zip(plane, out, strict=True)):
        raise Refusal("SFX-E107", f"adaptive pooling of {plane} to {out}: windows of unequal size")
    kernel = [n // m for n, m in zip(plane, out, strict=True)]
    return _pool(e, node, x, "mean", kernel, kernel, [0], rank)
