"""Connections as matrices and counts, for everything that is not the reference backend.

The reference applies each connection by its own formula; these functions expand the same
definition into a sparse matrix (for Lava, for mapping, for bounds), so the two are independent.
Rows are post neurons, columns pre neurons, both flat in C order, after the projection's views.
"""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from scipy import sparse

from ..ground.arith import IntArray
from .program import Connection, Conv2d, Dense, Projection, Sparse, Structured, View


@singledispatch
def matrix_of(connection: Connection) -> sparse.csr_matrix:
    """The connection alone as an int64 csr matrix [post, pre], without views and exponent."""
    raise TypeError(f"no matrix for {type(connection).__name__}")


@matrix_of.register
def _dense(c: Dense) -> sparse.csr_matrix:
    return sparse.csr_matrix(c.weight)


@matrix_of.register
def _sparse(c: Sparse) -> sparse.csr_matrix:
    columns = int(c.indices.max()) + 1 if c.indices.size else 0
    return sparse.csr_matrix((c.data, c.indices, c.indptr), shape=(len(c.indptr) - 1, columns))


@matrix_of.register
def _conv2d(c: Conv2d) -> sparse.csr_matrix:
    """One (post, pre, weight) triple per kernel entry that lands inside the padded input."""
    out_ch, in_per_group, kh, kw = c.weight.shape
    (channels, height, width), (_, out_h, out_w) = c.in_shape, c.out_shape
    o, i, a, b, y, x = np.meshgrid(
        *(np.arange(n) for n in (out_ch, in_per_group, kh, kw, out_h, out_w)), indexing="ij"
    )
    row = y * c.stride[0] - c.padding[0] + a * c.dilation[0]
    col = x * c.stride[1] - c.padding[1] + b * c.dilation[1]
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    channel = (o // (out_ch // c.groups)) * in_per_group + i
    post = (o * out_h + y) * out_w + x
    pre = (channel * height + row) * width + col
    weight = np.broadcast_to(c.weight[:, :, :, :, None, None], o.shape)
    keep = inside & (weight != 0)
    shape = (out_ch * out_h * out_w, channels * height * width)
    return sparse.csr_matrix((weight[keep], (post[keep], pre[keep])), shape=shape)


@matrix_of.register
def _structured(c: Structured) -> sparse.csr_matrix:
    sizes = dict(c.pre) | dict(c.post)
    labels = list(sizes)
    grid = dict(zip(labels, np.indices(tuple(sizes[k] for k in labels)), strict=True))
    post, post_size = _flat_index(c.post, grid)
    pre, pre_size = _flat_index(c.pre, grid)
    data = np.full(post.size, c.weight)
    return sparse.csr_matrix((data, (post.ravel(), pre.ravel())), shape=(post_size, pre_size))


def _flat_index(
    axes: tuple[tuple[str, int], ...], grid: dict[str, IntArray]
) -> tuple[IntArray, int]:
    flat = np.zeros_like(next(iter(grid.values()))) if grid else np.zeros(1, np.int64)
    size = 1
    for label, length in axes:
        flat = flat * length + grid[label]
        size *= length
    return flat, size


def permutation(view: View | None, size: int) -> IntArray:
    """p with viewed[i] = x[p[i]]."""
    index = np.arange(size, dtype=np.int64)
    return index if view is None else view.apply(index)


def matrix(projection: Projection, pre_size: int, post_size: int) -> sparse.csr_matrix:
    """The projection as an int64 csr matrix [post_size, pre_size], views applied, exponent not."""
    m = matrix_of(projection.connection)
    if m.shape[1] < pre_size:  # Sparse does not store its width
        m.resize(post_size, pre_size)
    if projection.pre_view is not None:
        # connection input i is pre neuron p[i]: column i moves to column p[i]
        m = m[:, np.argsort(permutation(projection.pre_view, pre_size))]
    if projection.post_view is not None:
        # post neuron i is connection output p[i]
        m = m[permutation(projection.post_view, post_size), :]
    m = m.tocsr()
    m.sort_indices()
    return m


def value_bounds(
    projection: Projection, pre_size: int, post_size: int, low: int, high: int
) -> tuple[IntArray, IntArray]:
    """Least and greatest sum each post neuron can get [post_size], if pre sends low..high.

    A structured connection gives all its post neurons the same: then the arrays are [1].
    The exponent is not applied. Zero (no event) is always possible, so low <= 0 <= high is used.
    A convolution's border neurons get the bounds of its inner ones, which see more inputs.
    """
    low, high = min(low, 0), max(high, 0)
    c = projection.connection
    if isinstance(c, Structured):
        post_labels = {label for label, _ in c.post}
        n = int(np.prod([k for label, k in c.pre if label not in post_labels], dtype=np.int64))
        ends = np.array(sorted((c.weight * low * n, c.weight * high * n)), dtype=np.int64)
        return ends[:1], ends[1:]
    if isinstance(c, Conv2d):
        kernel = c.weight.reshape(len(c.weight), -1)
        per_channel = (np.maximum(kernel, 0).sum(1), np.minimum(kernel, 0).sum(1))
        up, down = (
            _post_order(projection, np.repeat(v, c.out_shape[1] * c.out_shape[2]))
            for v in per_channel
        )
        return up * low + down * high, up * high + down * low
    m = matrix(projection, pre_size, post_size)
    up = np.asarray(m.maximum(0).sum(axis=1), dtype=np.int64).ravel()
    down = np.asarray(m.minimum(0).sum(axis=1), dtype=np.int64).ravel()
    return up * low + down * high, up * high + down * low


def _post_order(projection: Projection, x: IntArray) -> IntArray:
    return x if projection.post_view is None else projection.post_view.apply(x)
