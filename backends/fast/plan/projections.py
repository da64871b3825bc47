"""Projections readied once: [N, *pre shape] -> what post receives [N, post size].

Narrow (32-bit) sums only where the declared range of pre proves that every partial sum fits; the
executor refuses values outside that range. Wide (64-bit) sums need no proof.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray, wrap, wrap32
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Conv2d, Dense, Population, Projection, Sparse, Structured, View
from ..kernels import sums as kernels
from ..layout import Values
from .convolutions import Convolution, convolution_of

Apply = Callable[[Values], Values]
LIMIT = 1 << 31
"""What a signed 32-bit sum cannot hold."""


class PlannedProjection:
    """How one projection is computed.

    bound  no value that post receives is larger;  wide  its sums are int64
    convolution  what computes it with channels last, if there is one
    same  True if neuron i of post receives from neuron i of pre and no other
    effective  the weights in use;  largest  no sum of them over inputs is larger
    """

    def __init__(
        self, j: Projection, pre: Population, post: Population, widths: Arithmetic, *, wide: bool
    ) -> None:
        self.pre_view, self.post_view = j.pre_view, j.post_view
        self.as_events = wide and not pre.graded  # narrow: the range check proves 0/1
        low, high = (min(pre.low, 0), max(pre.high, 0)) if pre.graded else (0, 1)
        c = j.connection
        rule, shift = _rule(c, j.weight_exp)
        weight = _weights(c)
        weight = weight if rule == "kernel" else widths.effective_weights(weight)
        largest = _largest_sum(c, weight, low, high, pre.size)
        bits = widths.sum_bits if rule == "kernel" else 32
        self.exponent, self.bits = shift, bits
        full = largest << max(shift, 0)
        self.wide = wide or full >= LIMIT or np.abs(weight).max(initial=0) >= 1 << 15
        self.wraps = self.wide or full >= 1 << (bits - 1)
        self.bound = (1 << (bits - 1)) if self.wraps else full
        self.sums = np.int64 if self.wide else np.int32
        self.convolution: Convolution | None = None
        self.same = False
        if not self.wraps and j.pre_view is None and j.post_view is None:
            self.convolution = convolution_of(c, weight, shift, low, high)
            self.same = isinstance(c, Structured) and _is_identity(c)
        self.connection, self.effective, self.largest = c, weight, largest
        self.pre_size, self.post_size = pre.size, post.size
        self.weight = int(weight.flat[0]) if isinstance(c, Structured) else 0

    @cached_property
    def apply(self) -> Apply:
        """[N, pre size] -> [N, post size] before exponent and wrap, neurons in C order."""
        sizes = self.pre_size, self.post_size
        return _apply(self.connection, self.effective, *sizes, self.sums)

    def scaled(self, values: Values, kind: Any) -> Values:
        """weight * values with the exponent; 1 * values costs nothing, not even a copy."""
        if self.weight != 1 or self.exponent:
            values = np.multiply(values, np.int64(self.weight).astype(kind), dtype=kind)
        if self.exponent == 0:
            return values
        return values << self.exponent if self.exponent > 0 else values >> -self.exponent

    def scale(self, total: Values) -> Values:
        """What post receives for sums with unit weight: weight and exponent applied."""
        return self.scaled(total, np.dtype(self.sums))

    def __call__(self, s: Values) -> Values:
        """s [N, *pre shape] -> [N, post size], memory of its own, neurons in C order."""
        if self.as_events:
            s = (s != 0).astype(np.int8)
        flat = s.reshape(len(s), -1)
        out = self.apply(flat if self.pre_view is None else _viewed(flat, self.pre_view))
        if self.exponent > 0:
            out = out << self.exponent if not self.wide else wrap32(out) << self.exponent
        elif self.exponent < 0:
            out = (wrap32(out) if self.wide else out) >> -self.exponent
        if self.wraps:
            out = wrap(out, self.bits).astype(self.sums)
        if self.post_view is not None:
            out = _viewed(out, self.post_view)
        return out.reshape(len(s), -1)


def _is_identity(c: Structured) -> bool:
    pre, post = ([(label, n) for label, n in axes if n > 1] for axes in (c.pre, c.post))
    return pre == post


def _viewed(x: Values, view: View) -> Values:
    """View.apply without the copy: the trailing axes stay apart."""
    return x.reshape(len(x), *view.split).transpose(0, *(1 + o for o in view.order))


def _rule(c: object, exponent: int) -> tuple[str, int]:
    """Which weights are used, and the exponent (integer semantics 3.1, 3.3)."""
    return ("kernel" if isinstance(c, Conv2d) and exponent >= 0 else "synapses"), exponent


def _weights(c: object) -> IntArray:
    match c:
        case Conv2d() | Dense():
            return c.weight
        case Sparse():
            return c.data
        case Structured():
            return np.array([c.weight], dtype=np.int64)
        case _:
            raise TypeError(f"no rule for {type(c).__name__}")


def _largest_sum(c: object, weight: IntArray, low: int, high: int, pre_size: int) -> int:
    """No partial sum of a post neuron is larger, in any order: zero is among the inputs."""
    match c:
        case Structured():
            kept = {label for label, _ in c.post}
            terms = int(np.prod([n for label, n in c.pre if label not in kept], dtype=np.int64))
            return int(abs(weight[0])) * max(-low, high) * terms
        case Sparse():
            rows = np.repeat(np.arange(len(c.indptr) - 1), np.diff(c.indptr))
            up, down = (np.zeros(len(c.indptr) - 1, dtype=np.int64) for _ in range(2))
            np.add.at(up, rows, np.maximum(weight, 0))
            np.add.at(down, rows, np.maximum(-weight, 0))
        case _:
            flat = weight.reshape(len(weight), -1)
            up, down = (np.maximum(w, 0).sum(axis=1) for w in (flat, -flat))
    both = np.maximum(high * up - low * down, high * down - low * up)
    return int(both.max(initial=0))


def _apply(c: object, weight: IntArray, pre_size: int, post_size: int, sums: Any) -> Apply:
    stored = weight if sums is np.int64 else weight.astype(np.int16)
    match c:
        case Conv2d():
            return _conv(c, stored, sums)
        case Dense():
            one = Conv2d(weight[:, :, None, None], (pre_size, 1, 1), (post_size, 1, 1))
            return _conv(one, stored[:, :, None, None], sums)
        case Sparse():
            return _sparse(c, weight, pre_size, sums)
        case Structured():
            return _structured(c, int(weight[0]), sums)
    raise TypeError(f"no rule for {type(c).__name__}")


def _conv(c: Conv2d, kernel: Values, sums: Any) -> Apply:
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


def _sparse(c: Sparse, weight: IntArray, pre_size: int, sums: Any) -> Apply:
    rows = len(c.indptr) - 1
    m = Sparse(c.indptr, c.indices, weight).matrix()
    m.resize(rows, pre_size)
    columns = m.tocsc()
    indptr, index = columns.indptr.astype(np.int64), columns.indices.astype(np.int64)
    data = columns.data.astype(sums)

    def apply(s: Values) -> Values:
        acc = np.zeros((len(s), rows), dtype=sums)
        kernels.add_columns(s.reshape(len(s), -1), indptr, index, data, acc)
        return acc

    return apply


def _structured(c: Structured, weight: int, sums: Any) -> Apply:
    """Sums the labels only in pre, then gives every post neuron the sum that its labels name."""
    shared = [(label, n) for label, n in c.post if label in dict(c.pre)]
    target, source = _flat(c.pre, shared), _flat(c.post, shared)
    groups = int(np.prod([n for _, n in shared], dtype=np.int64))
    in_order = groups == len(target) and np.array_equal(target, np.arange(groups))

    def apply(s: Values) -> Values:
        x = s.reshape(len(s), -1)
        if not in_order:
            x = np.zeros((len(s), groups), dtype=sums)
            kernels.add_up(s.reshape(len(s), -1), target, x)
        out = np.empty((len(s), len(source)), dtype=sums)
        kernels.spread(x, source, sums(weight), out)
        return out

    return apply


def _flat(axes: tuple[tuple[str, int], ...], onto: list[tuple[str, int]]) -> NDArray[np.int32]:
    """For every neuron of `axes` in C order, its index along the axes `onto` alone."""
    index = np.zeros([n for _, n in axes], dtype=np.int32)
    labels = [label for label, _ in axes]
    for label, n in onto:
        along = [1] * len(axes)
        along[labels.index(label)] = n
        index = index * n + np.arange(n, dtype=np.int32).reshape(along)
    return index.ravel()
