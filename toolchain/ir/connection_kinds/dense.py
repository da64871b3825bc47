"""Dense: one weight per pair of neurons."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from scipy import sparse

from ...ground.arith import IntArray
from .base import Connection, Fans, Wiring, nonzero


@dataclass(frozen=True, eq=False)
class Dense(Connection):
    """a = W s, W [post.size, pre.size] (int64)."""

    storage = "dense"

    weight: IntArray

    @property
    def weights(self) -> IntArray:
        """[post, pre]."""
        return self.weight

    @property
    def synapses(self) -> int:
        """All pairs, zeros included."""
        return int(self.weight.size)

    def faults(self, pre: int, post: int) -> Iterator[str]:
        """The matrix has a row per post neuron and a column per pre neuron."""
        if self.weight.shape != (post, pre):
            yield f"weight {self.weight.shape}, expected [post, pre] = ({post}, {pre})"

    def matrix(self) -> sparse.csr_matrix:
        """Without the zeros."""
        return sparse.csr_matrix(self.weight)

    def rows(self, wanted: IntArray, pre: int) -> sparse.csr_matrix:
        """Without a matrix of all."""
        return sparse.csr_matrix(self.weight[wanted])

    def fan_in(self, pre: int) -> Callable[[IntArray], Fans]:
        """Counted in the matrix."""
        present = self.weight != 0
        return lambda post: nonzero(present[post].sum(axis=0))

    def mean_fan_in(self, post: int) -> float:
        """All pre neurons."""
        return float(self.weight.shape[1])

    def wiring(self) -> Wiring:
        """All to all."""
        post, pre = self.weight.shape
        return Wiring((pre,), (post,), whole=True)
