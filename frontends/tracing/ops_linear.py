"""Layers with weights, matrix products, batch norm and pools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, fx

from ...toolchain.formats.nir import ext
from ..neurons.refusal import Refusal
from .dims import Dims, in_step, space
from .emitter import Array, Emitter, Stream, array, needs_steps, no_time
from .ops_math import Operand, aligned, shifted, stream_matmul
from .ops_select import taken
from .ops_transposed import transposed
from .ops_view import reordered
from .rules import result_shape, rule

FLATTEN = "flatten T and B into axis 0 before a convolution"

# --- linear ---------------------------------------------------------------------------------


def linear_layer(e: Emitter, x: Stream, weight: Array, bias: Array | None) -> Stream:
    """x [..., K] -> [..., O]. One vector: nir.Affine; tokens: Permute, nir.Conv1d 1x1, Permute."""
    no_time(x, -1, "a linear layer over the time axis")
    if bias is not None:
        x = e.as_mean(x)
    out, inner = weight.shape
    dims = x.dims.with_axes([*x.dims.axes[:-1], (out,)])
    rows = math.prod(x.shape) // inner
    if rows == 1:
        name = e.reshape(x.name, x.shape, (inner,))
        made = nir.Linear(weight) if bias is None else nir.Affine(weight, bias)
        name = e.reshape(e.add(made, "linear", name, main=True), (out,), dims.step_shape)
        return replace(x, name=name, dims=dims)
    name = e.reshape(x.name, x.shape, (rows, inner))
    name = e.permute(name, (rows, inner), (1, 0))
    offset = np.zeros(out, weight.dtype) if bias is None else bias
    made = nir.Conv1d(rows, weight[:, :, None], 1, 0, 1, 1, offset)
    name = e.add(made, "linear", name, main=True)
    name = e.permute(name, (out, rows), (1, 0))
    return replace(x, name=e.reshape(name, (rows, out), dims.step_shape), dims=dims)


@rule("aten::linear")
def linear(
    e: Emitter, node: fx.Node, x: Operand, weight: Operand, bias: Operand | None = None
) -> Stream:
    """The layer x W^T + b."""
    if not isinstance(x, Stream) or not isinstance(weight, Tensor):
        raise Refusal("SFX-E103", "a linear layer whose weights are a stream", "use matmul")
    offset = array(bias) if isinstance(bias, Tensor) else None
    return linear_layer(e, x, array(weight), offset)


@rule("aten::mm", "aten::bmm", "aten::matmul")
def matmul(e: Emitter, node: fx.Node, a: Operand, b: Operand) -> Stream:
    """A product of two streams, or of a stream and a constant matrix (a linear layer)."""
    if isinstance(a, Stream) and isinstance(b, Stream):
        if len(a.dims.axes) == 1 or len(b.dims.axes) == 1:
            raise Refusal("SFX-E107", "a matrix product with a vector", "use unsqueeze and matmul")
        return stream_matmul(e, a, b)
    if isinstance(a, Stream) and isinstance(b, Tensor):
        return linear_layer(e, a, _one_matrix(b).T.copy(), None)
    if isinstance(a, Tensor) and isinstance(b, Stream):
        swap = [*range(len(b.dims.axes) - 2), len(b.dims.axes) - 1, len(b.dims.axes) - 2]
        made = linear_layer(e, reordered(e, b, swap), _one_matrix(a), None)
        return reordered(e, made, swap)
    raise TypeError("no operand is a stream")


def _one_matrix(weight: Tensor) -> Array:
    """A constant [..., K, N] that is the same matrix at every leading index."""
    values = array(weight)
    if values.ndim == 1:
        return values[:, None]
    matrices = values.reshape(-1, *values.shape[-2:])
    if not np.array_equal(np.broadcast_to(matrices[:1], matrices.shape), matrices):
        raise Refusal(
            "SFX-E107",
            "a matrix product with a different constant matrix per head or token",
            "use a grouped convolution, or one Linear per part",
        )
    return np.ascontiguousarray(matrices[0])


@rule("aten::addmm", "aten::baddbmm")
def addmm(
    e: Emitter,
    node: fx.Node,
    offset: Operand,
    a: Operand,
    b: Operand,
    beta: float = 1.0,
    alpha: float = 1.0,
) -> Stream:
    """The op beta * offset + alpha * a @ b."""
    plain = beta == 1 and alpha == 1 and isinstance(offset, Tensor) and offset.dim() == 1
    if plain and isinstance(a, Stream) and isinstance(b, Tensor) and b.dim() == 2:
        return linear_layer(e, a, array(b).T.copy(), array(torch.as_tensor(offset)))
    product = matmul(e, node, a, b)
    product = replace(product, name=e.scale(product.name, product.shape, float(alpha)))
    if isinstance(offset, Stream):
        scaled = replace(offset, name=e.scale(offset.name, offset.shape, float(beta)))
        left, right = aligned(e, product, scaled, product.dims.shape)
        return replace(left, name=e.add(ext.junction(left.shape), "sum", left.name, right.name))
    return shifted(e, e.as_mean(product), offset * beta, product.dims.shape)


# --- convolution ----------------------------------------------------------------------------


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
    stride, padding, dilation = (_ints(v, rank) for v in spread)
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
    add = _conv1d if rank == 1 else _conv2d
    name = add(e, x, kernel, offset, one, zero, one, groups, dims.step_shape)
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
        sizes = (_ints(stride, rank), _ints(padding, rank), _ints(dilation, rank))
        return _conv_of_windows(e, node, x, kernel, bias, sizes, groups)
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
    strides, dilations = _ints(stride, rank), _ints(dilation, rank)
    x, pads = _padded(e, x, padding, kernel.shape[2:], dilations)
    dims = _spatial_dims(x.dims, kernel.shape[0], result_shape(node)[2:])
    add = _conv1d if rank == 1 else _conv2d
    name = add(e, x, kernel, offset, strides, pads, dilations, groups, dims.step_shape)
    return replace(x, name=name, dims=dims)


def _conv_of_windows(
    e: Emitter,
    node: fx.Node,
    x: Stream,
    kernel: Array,
    bias: Any,
    sizes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
    groups: int,
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
    add = _conv1d if rank == 1 else _conv2d
    pixels = kernel.shape[2:] == sizes[0] == (1,) * rank and not any(sizes[1])
    apart = e.view(x, x.dims.with_axes([marks, (count,), (channels,), *((n,) for n in plane)]))
    if pixels:
        moved = reordered(e, apart, [0, 2, 1, *range(3, 3 + rank)])
        dims = _spatial_dims(moved.dims, channels, [count * plane[0], *plane[1:]])
        given = e.view(moved, dims)
        made = _spatial_dims(dims, out[0], dims.shape[2:])
        name = add(e, given, kernel, offset, *sizes, groups, made.step_shape)
        y = replace(given, name=name, dims=made)
        y = e.view(y, made.with_axes([marks, (out[0],), (count,), *((n,) for n in plane)]))
        y = reordered(e, y, [0, 2, 1, *range(3, 3 + rank)])
    else:
        given = e.view(apart, _spatial_dims(apart.dims, count * channels, plane))
        made = _spatial_dims(given.dims, count * out[0], out[1:])
        tiled = np.tile(kernel, (count, *[1] * (rank + 1)))
        wide = np.tile(offset, count)
        name = add(e, given, tiled, wide, *sizes, count * groups, made.step_shape)
        y = replace(given, name=name, dims=made)
    return e.view(y, y.dims.with_axes([axis, *((n,) for n in out)]))


def _ints(values: Sequence[int] | int, rank: int) -> tuple[int, ...]:
    listed = [values] if isinstance(values, int) else list(values)
    return tuple(int(v) for v in (listed * rank if len(listed) == 1 else listed))


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
        return x, _ints(padding, rank)
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


def _conv1d(
    e: Emitter,
    x: Stream,
    kernel: Array,
    bias: Array,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    out: tuple[int, ...],
) -> str:
    if groups == 1:
        made = nir.Conv1d(x.shape[1], kernel, stride[0], padding[0], dilation[0], 1, bias)
        return e.add(made, "conv", x.name, main=True)
    wide = (*x.shape, 1)
    grouped = ext.GroupedConv2d(
        wide, kernel[..., None], (stride[0], 1), (padding[0], 0), (dilation[0], 1), groups, bias
    )
    name = e.add(grouped, "conv", e.reshape(x.name, x.shape, wide), main=True)
    return e.reshape(name, (*out, 1), out)


def _conv2d(
    e: Emitter,
    x: Stream,
    kernel: Array,
    bias: Array,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    out: tuple[int, ...],
) -> str:
    if groups == 1 and kernel.shape[2] == kernel.shape[3]:
        made = nir.Conv2d(x.shape[1:], kernel, stride, padding, dilation, 1, bias)
    else:  # NIR's type check gets these wrong
        made = ext.GroupedConv2d(x.shape, kernel, stride, padding, dilation, groups, bias)
    return e.add(made, "conv", x.name, main=True)


# --- batch norm -----------------------------------------------------------------------------


def _batch_norm(
    e: Emitter, x: Operand, weight: Any, bias: Any, mean: Any, var: Any, eps: float
) -> Stream:
    if not isinstance(x, Stream) or not isinstance(mean, Tensor) or not isinstance(var, Tensor):
        raise Refusal(
            "SFX-E103",
            "batch norm without running statistics",
            "use track_running_stats=True and export in eval mode",
        )
    x = e.as_mean(x)
    no_time(x, 1, "batch norm over the time axis")
    if not in_step(x.dims.axes[1]):  # a mark on the channel's place
        x = e.plain(x)
    center, spread = array(mean), array(var)
    gain = array(weight) if isinstance(weight, Tensor) else np.ones_like(center)
    shift = array(bias) if isinstance(bias, Tensor) else np.zeros_like(center)
    axis = x.dims.step_axis(1)
    made = ext.BatchNorm(x.shape, gain, shift, center, spread, float(eps), axis)
    return replace(x, name=e.add(made, "batch_norm", x.name, main=True))


@rule("aten::_native_batch_norm_legit_no_training")
def native_batch_norm(
    e: Emitter,
    node: fx.Node,
    x: Operand,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    momentum: float,
    eps: float,
) -> tuple[Stream, None, None]:
    """Batch norm of torch 2.3: three results, of which the first is the value."""
    return _batch_norm(e, x, weight, bias, mean, var, eps), None, None


@rule("aten::batch_norm", "aten::_batch_norm_no_update", "aten::cudnn_batch_norm")
def batch_norm(
    e: Emitter,
    node: fx.Node,
    x: Operand,
    weight: Any,
    bias: Any,
    mean: Any,
    var: Any,
    *rest: Any,
) -> Any:
    """Batch norm of newer torch; its last float among (training, momentum, eps) is eps."""
    numbers = [v for v in rest if isinstance(v, bool | float)]
    if numbers and numbers[0] is True:
        raise Refusal("SFX-E103", "batch norm in training mode", "export in eval mode")
    eps = [v for v in numbers if not isinstance(v, bool)][-1]
    made = _batch_norm(e, x, weight, bias, mean, var, eps)
    several = not isinstance(node.meta["val"], Tensor)
    return (made, None, None, None) if several else made


# --- pools ----------------------------------------------------------------------------------


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
    window = (1,) * (2 - rank) + _ints(kernel, rank)
    step = (1,) * (2 - rank) + (_ints(stride, rank) if len(stride) else window[2 - rank :])
    pad = (0,) * (2 - rank) + _ints(padding, rank)
    out = result_of(node)[-rank:]
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


def result_of(node: fx.Node) -> tuple[int, ...]:
    """Shape of the first tensor that a node makes."""
    value = node.meta["val"]
    first = value if isinstance(value, Tensor) else value[0]
    return tuple(int(n) for n in first.shape)


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
    if any(d != 1 for d in _ints(dilation, 1)):
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
    sizes, steps = _ints(kernel, 3), _ints(stride, 3) if len(stride) else _ints(kernel, 3)
    pads, wide = _ints(padding, 3), _ints(dilation, 3)
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
    plane, out = x.dims.shape[-rank:], result_of(node)[-rank:]
    if any(n % m for n, m in zip(plane, out, strict=True)):
        raise Refusal("SFX-E107", f"adaptive pooling of {plane} to {out}: windows of unequal size")
    kernel = [n // m for n, m in zip(plane, out, strict=True)]
    return _pool(e, node, x, "mean", kernel, kernel, [0], rank)
