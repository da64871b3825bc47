"""Convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import nir
import numpy as np
from torch import Tensor, fx

from ...toolchain.formats.nir import ext
from ..neurons.refusal import Refusal
from .dims import Dims, space
from .emitter import Array, Emitter, Stream, array, no_time
from .ops_math import Operand
from .ops_select import taken
from .ops_transposed import transposed
from .ops_view import reordered
from .rules import per_axis, result_shape, rule

FLATTEN = "flatten T and B into axis 0 before a convolution"


class Geometry(NamedTuple):
    """How a kernel moves, one number for each of its axes, and how many groups of channels."""

    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int


@rule("aten::convolution", "aten::_convolution")
def convolution(
    e: Emitter, node: fx.Node, x: Operand, weight: Operand, bias: Operand | None, *geometry: Any
) -> Stream:
    """The general op, transposed ones included.

    geometry: stride, padding, dilation, transposed, output padding, groups, flags of the library.
    """
    stride, padding, dilation, backwards, _, groups, *_ = geometry
    if backwards:
        return _transposed(e, node, x, weight, bias, (stride, padding, dilation, groups))
    return _conv(e, node, x, weight, bias, stride, padding, dilation, groups)


@rule("aten::conv1d", "aten::conv2d")
def conv(
    e: Emitter,
    node: fx.Node,
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] | str = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Stream:
    """The undecomposed op of newer torch."""
    return _conv(e, node, x, weight, bias, stride, padding, dilation, groups)


@rule("aten::conv_transpose1d", "aten::conv_transpose2d")
def conv_transpose(
    e: Emitter,
    node: fx.Node,
    x: Operand,
    weight: Operand,
    bias: Operand | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Stream:
    """A convolution for each place in the stride, whose results are interleaved."""
    return _transposed(e, node, x, weight, bias, (stride, padding, dilation, groups))


def _transposed(
    e: Emitter, node: fx.Node, x: Operand, weight: Operand, bias: Operand | None, geometry: Any
) -> Stream:
    if not isinstance(x, Stream) or not isinstance(weight, Tensor):
        raise Refusal("SFX-E103", "a convolution whose weights are a stream")
    if space(x.dims.axes[0]) > 1:
        raise Refusal("SFX-E107", "a transposed convolution of more than time and batch", FLATTEN)
    rank = weight.dim() - 2
    *spread, groups = geometry
    stride, padding, dilation = (per_axis(v, rank) for v in spread)
    if isinstance(bias, Tensor):
        x = e.as_mean(x)
    return transposed(e, node, x, weight, bias, (stride, padding, dilation, groups), _unpadded)


def _unpadded(e: Emitter, x: Stream, kernel: Array, bias: Array | None, groups: int) -> Stream:
    """A convolution of stride 1 without padding."""
    rank = kernel.ndim - 2
    plane = [n - k + 1 for n, k in zip(x.dims.shape[2:], kernel.shape[2:], strict=True)]
    dims = _spatial_dims(x.dims, len(kernel), plane)
    offset = np.zeros(len(kernel), kernel.dtype) if bias is None else bias
    one, zero = (1,) * rank, (0,) * rank
    name = _add(e, x, kernel, offset, Geometry(one, zero, one, groups), dims.step_shape)
    return replace(x, name=name, dims=dims)


def _conv(
    e: Emitter,
    node: fx.Node,
    x: Operand,
    weight: Operand,
    bias: Operand | None,
    stride: Sequence[int],
    padding: Sequence[int] | str,
    dilation: Sequence[int],
    groups: int,
) -> Stream:
    if not isinstance(x, Stream) or not isinstance(weight, Tensor):
        raise Refusal("SFX-E103", "a convolution whose weights are a stream")
    kernel = array(weight)
    rank = kernel.ndim - 2
    if rank not in (1, 2):
        raise Refusal("SFX-E103", f"a {rank}-D convolution", "use Conv1d or Conv2d on each step")
    for axis in range(1, len(x.dims.axes)):
        no_time(x, axis, "a convolution over the time axis")
    apart = space(x.dims.axes[0])
    if len(x.dims.axes) == rank + 2 and apart > 1 and not isinstance(padding, str):
        geometry = Geometry(
            per_axis(stride, rank), per_axis(padding, rank), per_axis(dilation, rank), groups
        )
        return _conv_of_windows(e, node, x, kernel, bias, geometry)
    if len(x.dims.axes) != rank + 2 or apart > 1:
        raise Refusal(
            "SFX-E107",
            f"axis 0 of the convolution's input {x.dims.shape} holds more than time and batch",
            FLATTEN,
        )
    x = e.plain(x)
    offset = array(bias) if isinstance(bias, Tensor) else np.zeros(kernel.shape[0], kernel.dtype)
    if isinstance(bias, Tensor):
        x = e.as_mean(x)
    strides, dilations = per_axis(stride, rank), per_axis(dilation, rank)
    x, pads = _padded(e, x, padding, kernel.shape[2:], dilations)
    dims = _spatial_dims(x.dims, kernel.shape[0], result_shape(node)[2:])
    geometry = Geometry(strides, pads, dilations, groups)
    name = _add(e, x, kernel, offset, geometry, dims.step_shape)
    return replace(x, name=name, dims=dims)


def _conv_of_windows(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    kernel: Array,
    bias: Any,
    geometry: Geometry,
) -> Stream:
    """A convolution of windows beside the samples, [T B w, C, ...]: the same one in each window.

    As one of groups, [T B, w C, ...], whose weights are repeated; a 1x1 convolution without them:
    [T B, C, w H, W].
    """
    axis = x.dims.axes[0]
    count = space(axis)
    marks = tuple(f for f in axis if isinstance(f, str))
    if axis != (*marks, count):
        raise Refusal("SFX-E107", "windows that stand before time and batch", FLATTEN)
    rank = kernel.ndim - 2
    (channels, *plane), out = x.dims.shape[1:], result_shape(node)[1:]
    offset = array(bias) if isinstance(bias, Tensor) else np.zeros(len(kernel), kernel.dtype)
    if isinstance(bias, Tensor):
        x = e.as_mean(x)
    pixels = kernel.shape[2:] == geometry.stride == (1,) * rank and not any(geometry.padding)
    apart = e.view(x, x.dims.with_axes([marks, (count,), (channels,), *((n,) for n in plane)]))
    if pixels:
        moved = reordered(e, apart, [0, 2, 1, *range(3, 3 + rank)])
        dims = _spatial_dims(moved.dims, channels, [count * plane[0], *plane[1:]])
        given = e.view(moved, dims)
        made = _spatial_dims(dims, out[0], dims.shape[2:])
        name = _add(e, given, kernel, offset, geometry, made.step_shape)
        y = replace(given, name=name, dims=made)
        y = e.view(y, made.with_axes([marks, (out[0],), (count,), *((n,) for n in plane)]))
        y = reordered(e, y, [0, 2, 1, *range(3, 3 + rank)])
    else:
        given = e.view(apart, _spatial_dims(apart.dims, count * channels, plane))
        made = _spatial_dims(given.dims, count * out[0], out[1:])
        tiled = np.tile(kernel, (count, *[1] * (rank + 1)))
        wide = np.tile(offset, count)
        repeated = geometry._replace(groups=count * geometry.groups)
        name = _add(e, given, tiled, wide, repeated, made.step_shape)
        y = replace(given, name=name, dims=made)
    return e.view(y, y.dims.with_axes([axis, *((n,) for n in out)]))


def _padded(
    e: Emitter,
    x: Stream,
    padding: Sequence[int] | str,
    kernel: Sequence[int],
    dilation: Sequence[int],
) -> tuple[Stream, tuple[int, ...]]:
    """What a convolution pads on both sides; 'same' with an even window has one more behind."""
    rank = len(kernel)
    if not isinstance(padding, str):
        return x, per_axis(padding, rank)
    if padding == "valid":
        return x, (0,) * rank
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    if all(r % 2 == 0 for r in reach):
        return x, tuple(r // 2 for r in reach)
    for axis, r in enumerate(reach, start=2):
        whole = [*[-1] * (r // 2), *range(x.dims.shape[axis]), *[-1] * (r - r // 2)]
        x = taken(e, x, axis, whole, "pads")
    return x, (0,) * rank


def _spatial_dims(dims: Dims, channels: int, plane: Sequence[int]) -> Dims:
    return dims.with_axes([dims.axes[0], (channels,), *((n,) for n in plane)])


def _add(
    e: Emitter, x: Stream, kernel: Array, bias: Array, geometry: Geometry, out: tuple[int, ...]
) -> str:
    """The node of a convolution of one or two axes; its name."""
    stride, padding, dilation, groups = geometry
    if kernel.ndim == 3 and groups == 1:
        made = nir.Conv1d(x.shape[1], kernel, stride[0], padding[0], dilation[0], 1, bias)
        return e.add(made, "conv", x.name, main=True)
    if kernel.ndim == 3:
        wide = (*x.shape, 1)
        sizes = ((stride[0], 1), (padding[0], 0), (dilation[0], 1))
        grouped = ext.GroupedConv2d(wide, kernel[..., None], *sizes, groups, bias)
        name = e.add(grouped, "conv", e.reshape(x.name, x.shape, wide), main=True)
        return e.reshape(name, (*out, 1), out)
    if groups == 1 and kernel.shape[2] == kernel.shape[3]:
        square = nir.Conv2d(x.shape[1:], kernel, stride, padding, dilation, 1, bias)
        return e.add(square, "conv", x.name, main=True)
    # NIR's type check gets these wrong
    other = ext.GroupedConv2d(x.shape, kernel, stride, padding, dilation, groups, bias)
    return e.add(other, "conv", x.name, main=True)
