"""Some rows of a projection's matrix, without making the others.

Equal to `connections.matrix(...)[wanted]`; a layer of ten million synapses is replayed a few
thousand post neurons at a time.
"""

from __future__ import annotations

from functools import singledispatch
from math import prod

import numpy as np
from scipy import sparse

from ..ground.arith import IntArray
from ..ir.connections import permutation
from ..ir.program import Connection, Conv2d, Dense, Projection, Sparse, Structured


def rows(
    projection: Projection, wanted: IntArray, pre_size: int, post_size: int
) -> sparse.csr_matrix:
    """The synapses onto the post neurons `wanted` as an int64 csr matrix [wanted, pre_size].

    Views are applied, the exponent is not; zero weights are left out.
    """
    at = wanted
    if projection.post_view is not None:
        at = permutation(projection.post_view, post_size)[wanted]
    m = _rows(projection.connection, at, pre_size)
    if projection.pre_view is not None:
        # connection input i is pre neuron p[i]
        columns = permutation(projection.pre_view, pre_size)[m.indices]
        m = sparse.csr_matrix((m.data, columns, m.indptr), shape=m.shape)
    m.eliminate_zeros()
    m.sort_indices()
    return m


def synapses(connection: Connection) -> int:
    """Synapses of a connection; a convolution's border is counted as its middle."""
    match connection:
        case Dense():
            return int(connection.weight.size)
        case Sparse():
            return int(connection.data.size)
        case Conv2d():
            return int(connection.weight.size) * prod(connection.out_shape[1:])
        case Structured():
            return prod((dict(connection.pre) | dict(connection.post)).values())
    raise TypeError(f"no synapses in {type(connection).__name__}")


@singledispatch
def _rows(connection: Connection, wanted: IntArray, pre_size: int) -> sparse.csr_matrix:
    raise TypeError(f"no rows of {type(connection).__name__}")


@_rows.register
def _dense(c: Dense, wanted: IntArray, pre_size: int) -> sparse.csr_matrix:
    return sparse.csr_matrix(c.weight[wanted])


@_rows.register
def _sparse(c: Sparse, wanted: IntArray, pre_size: int) -> sparse.csr_matrix:
    whole = sparse.csr_matrix((c.data, c.indices, c.indptr), shape=(len(c.indptr) - 1, pre_size))
    return whole[wanted]


@_rows.register
def _conv2d(c: Conv2d, wanted: IntArray, pre_size: int) -> sparse.csr_matrix:
    """[wanted, kernel entries], of which those that land inside the image stay."""
    out_ch, in_per_group, kh, kw = c.weight.shape
    _, height, width = c.in_shape
    o, pixel = np.divmod(wanted, c.out_shape[1] * c.out_shape[2])
    y, x = np.divmod(pixel, c.out_shape[2])
    i, a, b = (k.ravel() for k in np.indices((in_per_group, kh, kw)))
    row = y[:, None] * c.stride[0] - c.padding[0] + a * c.dilation[0]
    col = x[:, None] * c.stride[1] - c.padding[1] + b * c.dilation[1]
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    channel = (o // (out_ch // c.groups))[:, None] * in_per_group + i
    pre = (channel * height + row) * width + col
    weight = c.weight.reshape(out_ch, -1)[o]
    post, _ = np.nonzero(inside)
    return sparse.csr_matrix(
        (weight[inside], (post, pre[inside])), shape=(len(wanted), pre_size), dtype=np.int64
    )


@_rows.register
def _structured(c: Structured, wanted: IntArray, pre_size: int) -> sparse.csr_matrix:
    """Shared labels say where the pre neurons begin, labels only in `pre` which ones follow."""
    strides = {}
    step = 1
    for label, length in reversed(c.pre):
        strides[label] = step
        step *= length
    post_shape = tuple(n for _, n in c.post) or (1,)
    places = dict(zip((k for k, _ in c.post), np.unravel_index(wanted, post_shape), strict=False))
    base = np.zeros(len(wanted), dtype=np.int64)
    offsets = np.zeros(1, dtype=np.int64)
    for label, length in c.pre:
        if label in places:
            base = base + places[label] * strides[label]
        else:
            offsets = (offsets[:, None] + np.arange(length) * strides[label]).ravel()
    pre = (base[:, None] + offsets).ravel()
    indptr = np.arange(len(wanted) + 1, dtype=np.int64) * offsets.size
    data = np.full(pre.size, c.weight, dtype=np.int64)
    return sparse.csr_matrix((data, pre, indptr), shape=(len(wanted), pre_size))
