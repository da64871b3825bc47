"""One projection -> nodes: views, connection, exponent (integer semantics, section 3).

Spikes arrive flat, as bool where pre sends no payload, else as int64; what leaves is int64, flat.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np

from ...toolchain.ground.arith import IntArray, effective_weights
from ...toolchain.ir.program import (
    Connection,
    Conv2d,
    Dense,
    Population,
    Projection,
    Sparse,
    Structured,
    View,
)
from .arithmetic import floor_shift, wrap
from .body import INT32, INT64, Scope


def project(at: Scope, j: Projection, pre: Population, post: Population, s: str) -> str:
    """What `post` receives of the spikes `s` [*pre shape], as int64 [*post shape]."""
    x = view(at, at.reshape(s, pre.size), j.pre_view)
    y = connect(j.connection, at, x, not pre.graded, j.weight_exp)
    return at.reshape(view(at, y, j.post_view), *post.shape)


def view(at: Scope, x: str, v: View | None) -> str:
    """x.reshape(split).transpose(order), flat again."""
    if v is None:
        return x
    return at.reshape(at.op("Transpose", at.reshape(x, *v.split), perm=list(v.order)), -1)


@singledispatch
def connect(c: Connection, at: Scope, x: str, binary: bool, exponent: int) -> str:
    """The connection and its exponent on flat spikes."""
    raise TypeError(f"no ONNX form for {type(c).__name__}")


@connect.register
def _dense(c: Dense, at: Scope, x: str, binary: bool, exponent: int) -> str:
    """A = i32(W @ s)."""
    return scaled(at, matmul(at, effective_weights(c.weight), x, binary), exponent)


@connect.register
def _sparse(c: Sparse, at: Scope, x: str, binary: bool, exponent: int) -> str:
    """Row sums as differences of one running sum over all synapses: empty rows need no rule.

    Exact even if the running sum wraps at 64 bits, since a row's own sum fits.
    """
    present = at.op("Gather", x, at.array(c.indices.astype(np.int64)))
    terms = at.op("Mul", at.cast(present, INT64), at.weights(effective_weights(c.data)))
    running = at.op("CumSum", terms, at.number(0))
    zero = at.array(np.zeros(1, dtype=np.int64))
    running = at.op("Concat", zero, running, axis=0)
    ends = at.op("Gather", running, at.array(c.indptr[1:].astype(np.int64)))
    starts = at.op("Gather", running, at.array(c.indptr[:-1].astype(np.int64)))
    return scaled(at, at.op("Sub", ends, starts), exponent)


@connect.register
def _conv2d(c: Conv2d, at: Scope, x: str, binary: bool, exponent: int) -> str:
    """out = wrap24(conv(W << e, s)); with e < 0 as Sparse. One Gather collects each patch."""
    out, per_group, kh, kw = c.weight.shape
    patches = _patches(c, at, x, binary)  # [groups, per_group * kh * kw, H' * W']
    kernel = effective_weights(c.weight) if exponent < 0 else c.weight << exponent
    kernel = kernel.reshape(c.groups, out // c.groups, per_group * kh * kw)
    total = at.reshape(matmul(at, kernel, patches, binary), -1)
    return scaled(at, total, exponent) if exponent < 0 else wrap(at, total, 24)


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


@connect.register
def _structured(c: Structured, at: Scope, x: str, binary: bool, exponent: int) -> str:
    """w * the sum over labels only in pre, repeated along labels only in post."""
    weight = int(effective_weights(np.array([c.weight]))[0])
    pre, post = [label for label, _ in c.pre], [label for label, _ in c.post]
    x = at.reshape(at.cast(x, INT64), *(n for _, n in c.pre))
    summed = [i for i, label in enumerate(pre) if label not in post]
    if summed:
        x = at.op("ReduceSum", x, at.array(np.array(summed, dtype=np.int64)), keepdims=0)
    kept = [label for label in pre if label in post]
    order = [kept.index(label) for label in post if label in kept]
    if order != sorted(order):
        x = at.op("Transpose", x, perm=order)
    if any(label not in kept for label in post):
        x = at.reshape(x, *(n if label in kept else 1 for label, n in c.post))
        x = at.op("Expand", x, at.array(np.array([n for _, n in c.post], dtype=np.int64)))
    if weight != 1:
        x = at.op("Mul", x, at.number(weight))
    return scaled(at, at.reshape(x, -1), exponent)


def matmul(at: Scope, weight: IntArray, x: str, binary: bool) -> str:
    """weight @ x as int64. 32 bits where they provably hold every sum: 0/1 spikes, sum|w| < 2^31.

    The narrower kernel is several times quicker.
    """
    narrow = binary and int(np.abs(weight).sum(axis=-1).max(initial=0)) < 1 << 31
    kind = INT32 if narrow else INT64
    total = at.op("MatMul", at.weights(weight, kind), at.cast(x, kind))
    return at.cast(total, INT64) if narrow else total


def scaled(at: Scope, total: str, exponent: int) -> str:
    """out = i32(A << e) if e > 0 else A >> -e (floor), with A = i32(total)."""
    total = wrap(at, total, 32)
    if exponent > 0:
        return wrap(at, at.op("Mul", total, at.number(1 << exponent)), 32)
    return floor_shift(at, total, -exponent)
