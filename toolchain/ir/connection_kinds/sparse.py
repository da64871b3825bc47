"""Sparse: Dense that stores only the synapses that exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ...ground.arith import IntArray
from .base import Connection, Fans, nonzero


@dataclass(frozen=True, eq=False)
class Sparse(Connection):
    """a = W s in compressed rows: indptr [post.size+1], indices and data [nnz], columns sorted."""

    storage = "sparse"

    indptr: IntArray
    indices: IntArray
    data: IntArray

    @property
    def weights(self) -> IntArray:
        """[nnz]."""
        return self.data

    @property
    def synapses(self) -> int:
        """Stored ones, zeros among them included."""
        return int(self.data.size)

    def faults(self, pre: int, post: int) -> Iterator[str]:
        """Rows follow each other, and columns rise in each."""
        if (
            self.indptr.shape != (post + 1,)
            or self.indices.ndim != 1
            or self.indices.shape != self.data.shape
        ):
            yield (
                f"indptr {self.indptr.shape}, indices {self.indices.shape}, data "
                f"{self.data.shape}; expected ({post + 1},) and two of the same length"
            )
            return
        in_row = np.diff(self.indptr)
        if self.indptr[0] != 0 or self.indptr[-1] != len(self.data) or np.any(in_row < 0):
            yield f"indptr does not rise from 0 to {len(self.data)}"
            return
        if self.indices.size and (self.indices.min() < 0 or self.indices.max() >= pre):
            yield f"indices in {self.indices.min()}..{self.indices.max()}, expected 0..{pre - 1}"
        row = np.repeat(np.arange(post), in_row)
        if np.any((np.diff(self.indices) <= 0) & (np.diff(row) == 0)):
            yield "columns of a row are not sorted or occur twice"

    def matrix(self) -> sparse.csr_matrix:
        """It does not store its width: the columns end with the last that is used."""
        columns = int(self.indices.max()) + 1 if self.indices.size else 0
        return self._csr(self.data, columns)

    def rows(self, wanted: IntArray, pre: int) -> sparse.csr_matrix:
        """Cut out of the rows."""
        return self._csr(self.data, pre)[wanted]

    def fan_in(self, pre: int) -> Callable[[IntArray], Fans]:
        """Counted in the rows."""
        present = self._csr(self.data != 0, pre)
        present.eliminate_zeros()
        return lambda post: nonzero(np.bincount(present[post].indices, minlength=pre))

    def _csr(self, values: IntArray, columns: int) -> sparse.csr_matrix:
        shape = (len(self.indptr) - 1, columns)
        return sparse.csr_matrix((values, self.indices, self.indptr), shape=shape)
