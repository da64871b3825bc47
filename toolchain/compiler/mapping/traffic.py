"""Who sends how much to whom, core by core: the graph that placement arranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...ground.arith import IntArray
from .flows import Flows

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Traffic:
    """Messages a step between cores. `between` [cores, cores]: row sends to column, no diagonal.

    from_host  [cores]: messages from the host
    """

    between: sparse.csr_matrix
    from_host: Array

    @property
    def packets(self) -> float:
        """Messages a step, those of the host included."""
        return float(self.between.sum() + self.from_host.sum())


def traffic(flows: Flows, core: IntArray, cores: int) -> Traffic:
    """Expected traffic when piece i is on core core[i].

    A spike is one message to each core that holds a piece that it drives: pieces there are taken to
    receive from different neurons of a source, at most all of them.
    """
    found = flows.drivers.tocoo()
    onto = sparse.csr_matrix(
        (found.data, (found.row, core[found.col])), shape=(flows.size.size, cores), dtype=np.int64
    )
    most = np.repeat(flows.size, np.diff(onto.indptr))
    sent = np.minimum(onto.data, most) * np.repeat(flows.rate, np.diff(onto.indptr))
    by_source = sparse.csr_matrix((sent, onto.indices, onto.indptr), shape=onto.shape)
    n = flows.pieces
    own = sparse.csr_matrix((np.ones(n), (core, np.arange(n))), shape=(cores, n))
    between = sparse.csr_matrix(own @ by_source[:n])
    between.setdiag(0)
    between.eliminate_zeros()
    return Traffic(between, np.asarray(by_source[n:].sum(axis=0)).ravel())
