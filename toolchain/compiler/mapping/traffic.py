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
    own        [cores]: messages that a core sends to itself, which cross no link
    width      [cores]: mean bits of the messages that a core sends; host_width of the host's
    """

    between: sparse.csr_matrix
    from_host: Array
    own: Array | float = 0.0
    width: Array | float = 1.0
    host_width: float = 1.0

    @property
    def packets(self) -> float:
        """Messages a step from core to core and from the host."""
        return float(self.between.sum() + self.from_host.sum())

    @property
    def messages(self) -> float:
        """The same and those that stay on their core: all that energy is charged for."""
        return self.packets + float(np.sum(self.own))


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
    mine = sparse.csr_matrix((np.ones(n), (core, np.arange(n))), shape=(cores, n))
    between = sparse.csr_matrix(mine @ by_source[:n])
    own = between.diagonal()
    between.setdiag(0)
    between.eliminate_zeros()
    each = np.asarray(by_source.sum(axis=1)).ravel()
    width = np.broadcast_to(flows.width, each.shape)
    return Traffic(
        between,
        np.asarray(by_source[n:].sum(axis=0)).ravel(),
        own,
        (mine @ (each * width)[:n]) / np.maximum(mine @ each[:n], 1e-30),
        float((each * width)[n:].sum() / max(each[n:].sum(), 1e-30)),
    )
