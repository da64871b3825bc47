"""Layers with weights, matrix products and batch norm."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import nir
import numpy as np
import torch
from torch import Tensor, fx

from ...toolchain.formats.nir import ext
from ..neurons.refusal import Refusal
from .dims import in_step
from .emitter import Array, Emitter, Stream, array, no_time
from .ops_math import Operand, aligned, shifted, stream_matmul
from .ops_view import reordered
from .rules import rule

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
