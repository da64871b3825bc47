"""Sparse: Dense that stores only the synapses that exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.connection_kinds.base import Connection
from ....toolchain.ir.program import Sparse
from ..kernels import sums as kernels
from ..layout import Values
from ..rules import Apply, ConnectionRule, Setting, largest_of

if TYPE_CHECKING:
    from torch import Tensor


def apply(c: Sparse, weight: IntArray, pre: int, post: int, sums: Any) -> Apply:
    """Event by event, by columns."""
    rows = len(c.indptr) - 1
    m = Sparse(c.indptr, c.indices, weight).matrix()
    m.resize(rows, pre)
    columns = m.tocsc()
    indptr, index = columns.indptr.astype(np.int64), columns.indices.astype(np.int64)
    data = columns.data.astype(sums)

    def total(s: Values) -> Values:
        acc = np.zeros((len(s), rows), dtype=sums)
        kernels.add_columns(s.reshape(len(s), -1), indptr, index, data, acc)
        return acc

    return total


def largest(c: Sparse, weight: IntArray, low: int, high: int) -> int:
    """Row by row."""
    rows = np.repeat(np.arange(len(c.indptr) - 1), np.diff(c.indptr))
    up, down = (np.zeros(len(c.indptr) - 1, dtype=np.int64) for _ in range(2))
    np.add.at(up, rows, np.maximum(weight, 0))
    np.add.at(down, rows, np.maximum(-weight, 0))
    return largest_of(up, down, low, high)


def on_device(c: Sparse, weight: IntArray, to: Setting) -> Callable[[Tensor], Tensor]:
    """One product of a sparse matrix."""
    import torch

    m = Sparse(c.indptr, c.indices, weight).matrix().tocoo()
    matrix = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([m.row, m.col]).astype(np.int64)),
        torch.from_numpy(m.data.astype(np.float64)).to(to.kind),
        (to.post, to.pre),
        check_invariants=True,
    ).to(to.device)
    return lambda s: (matrix @ s.to(to.kind).T).T.long()


RULE = ConnectionRule(apply, largest, on_device)


def of(c: Connection) -> Sparse:
    """Any connection as its matrix; in a legal Program its weights are the ones in use."""
    m = c.matrix().tocsr()
    m.sort_indices()
    indptr, indices, data = (a.astype(np.int64) for a in (m.indptr, m.indices, m.data))
    return Sparse(indptr, indices, data)


AS_MATRIX = ConnectionRule(
    lambda c, weight, pre, post, sums: apply(of(c), of(c).data, pre, post, sums),
    lambda c, weight, low, high: largest(of(c), of(c).data, low, high),
    lambda c, weight, to: on_device(of(c), of(c).data, to),
)
"""For kinds without a quicker way."""
