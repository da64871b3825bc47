"""Some rows of a projection's matrix, without making the others.

Equal to `connections.matrix(...)[wanted]`; a layer of ten million synapses is replayed a few
thousand post neurons at a time.
"""

from __future__ import annotations

from scipy import sparse

from ..ground.arith import IntArray
from ..ir.connections import permutation
from ..ir.program import Projection


def rows(
    projection: Projection, wanted: IntArray, pre_size: int, post_size: int
) -> sparse.csr_matrix:
    """The synapses onto the post neurons `wanted` as an int64 csr matrix [wanted, pre_size].

    Views are applied, the exponent is not; zero weights are left out.
    """
    at = wanted
    if projection.post_view is not None:
        at = permutation(projection.post_view, post_size)[wanted]
    m = projection.connection.rows(at, pre_size)
    if projection.pre_view is not None:
        # connection input i is pre neuron p[i]
        columns = permutation(projection.pre_view, pre_size)[m.indices]
        m = sparse.csr_matrix((m.data, columns, m.indptr), shape=m.shape)
    m.eliminate_zeros()
    m.sort_indices()
    return m
