"""What a stateless op means in float64: [M, *shape] in, [M, ...] out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch

import numpy as np

from . import graph as g
from .check import window
from .graph import FloatArray, Op
from .single import single


@singledispatch
def apply(op: Op, x: FloatArray) -> FloatArray:
    """A stateless op on x [M, *input shape]; views return any shape with the right C order."""
    raise TypeError(f"no rule for {type(op).__name__}")


@apply.register(g.Output)
@apply.register(g.Sum)
@apply.register(g.Relay)
@apply.register(g.Reshape)
def _same(op: Op, x: FloatArray) -> FloatArray:
    return x


def _taps(
    x: FloatArray,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int] = (1, 1),
    fill: float = 0.0,
) -> Iterator[tuple[int, int, FloatArray]]:
    """(a, b, the input [M, C, H', W'] that kernel entry (a, b) meets) for each kernel entry."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = kernel, stride, padding, dilation
    out_h = window(x.shape[2], kh, sh, ph, dh)
    out_w = window(x.shape[3], kw, sw, pw, dw)
    if ph or pw:
        x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    for a in range(kh):
        for b in range(kw):
            top, left = a * dh, b * dw
            yield (
                a,
                b,
                x[
                    :,
                    :,
                    top : top + (out_h - 1) * sh + 1 : sh,
                    left : left + (out_w - 1) * sw + 1 : sw,
                ],
            )


@apply.register
def _conv2d(op: g.Conv2d, x: FloatArray) -> FloatArray:
    out, per_group, kh, kw = op.weight.shape
    taps = list(_taps(x, (kh, kw), op.stride, op.padding, op.dilation))
    many, channels, height, width = taps[0][2].shape
    columns = np.empty((many, channels, kh * kw, height, width))
    for i, (_, _, tap) in enumerate(taps):
        columns[:, :, i] = tap
    kernel = op.weight.reshape(op.groups, out // op.groups, per_group * kh * kw)
    y = kernel @ columns.reshape(many, op.groups, per_group * kh * kw, height * width)
    shaped: FloatArray = y.reshape(many, out, height, width) + op.offset
    return shaped


@apply.register
def _linear(op: g.Linear, x: FloatArray) -> FloatArray:
    y: FloatArray = x @ op.weight.T + op.bias
    return y


@apply.register
def _batch_norm(op: g.BatchNorm, x: FloatArray) -> FloatArray:
    shape = [1] * x.ndim
    shape[op.axis + 1] = -1
    mean, var, weight, bias = (a.reshape(shape) for a in (op.mean, op.var, op.weight, op.bias))
    y: FloatArray = (x - mean) / np.sqrt(var + op.eps) * weight + bias
    return y


@apply.register
def _scale(op: g.Scale, x: FloatArray) -> FloatArray:
    return op.factor * x


@apply.register
def _sum_pool(op: g.SumPool2d, x: FloatArray) -> FloatArray:
    total: FloatArray = sum(t for _, _, t in _taps(x, op.kernel, op.stride, op.padding))  # type: ignore[assignment]  # sum() starts from int 0
    return total


@apply.register
def _max_pool(op: g.MaxPool2d, x: FloatArray) -> FloatArray:
    taps = _taps(x, op.kernel, op.stride, op.padding, fill=-np.inf)
    best = next(taps)[2].copy()
    for _, _, tap in taps:
        np.maximum(best, tap, out=best)
    return best


@apply.register
def _reduce_sum(op: g.ReduceSum, x: FloatArray) -> FloatArray:
    y: FloatArray = x.sum(axis=tuple(a + 1 for a in op.axes))
    return y


@apply.register
def _permute(op: g.Permute, x: FloatArray) -> FloatArray:
    return x.transpose(0, *(i + 1 for i in op.order))


@apply.register
def _threshold(op: g.Threshold, x: FloatArray) -> FloatArray:
    return (x > op.threshold).astype(np.float64)


@apply.register
def _slot(op: g.Slot, x: FloatArray) -> FloatArray:
    v, level = single(x), float(single(op.level))
    return ((v >= level) if op.reached else (v > level)).astype(np.float64)


@apply.register
def _gather(op: g.Gather, x: FloatArray) -> FloatArray:
    taken = np.take(x, op.index, axis=op.axis + 1)  # -1 takes the last, which is then cleared
    if op.pads:
        empty = np.flatnonzero(np.asarray(op.index) < 0)
        taken[(slice(None),) * (op.axis + 1) + (empty,)] = 0
    return taken


@apply.register
def _relu(op: g.ReLU, x: FloatArray) -> FloatArray:
    return np.maximum(x, 0.0)
