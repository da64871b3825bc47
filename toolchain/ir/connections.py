"""Connections as matrices and counts, for everything that is not the reference backend.

The reference applies each connection by its own formula; these functions expand the same
definition into a sparse matrix (for Lava, for mapping, for bounds), so the two are independent.
Rows are post neurons, columns pre neurons, both flat in C order, after the projection's views.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ..ground.arith import IntArray
from .program import Projection, View


def permutation(view: View | None, size: int) -> IntArray:
    """p with viewed[i] = x[p[i]]."""
    index = np.arange(size, dtype=np.int64)
    return index if view is None else view.apply(index)


def matrix(projection: Projection, pre_size: int, post_size: int) -> sparse.csr_matrix:
    """The projection as an int64 csr matrix [post_size, pre_size], views applied, exponent not."""
    m = projection.connection.matrix()
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
    ends = projection.connection.value_bounds(min(low, 0), max(high, 0))
    if projection.post_view is None or ends[0].size != post_size:
        return ends
    return projection.post_view.apply(ends[0]), projection.post_view.apply(ends[1])
