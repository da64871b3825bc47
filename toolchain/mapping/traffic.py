"""Who sends how much to whom, core by core: the graph that placement arranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sfx.toolchain.arith import IntArray
from sfx.toolchain.mapping.demand import Rates
from sfx.toolchain.mapping.partition import Partition

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


def traffic(partition: Partition, core: IntArray, cores: int, rate: Rates) -> Traffic:
    """Expected traffic when piece i is on core core[i].

    A spike is one message to each core that holds a piece hearing it.
    """
    rows, columns, weights = [], [], []
    host = np.zeros(cores)
    for pre, post, pairs in partition.pairs:
        to = core[partition.first[post] + pairs.post]
        most = partition.sizes(pre)
        source, target, neurons = _once(pairs.pre, to, pairs.neurons, most, cores)
        sent = neurons * rate[pre]
        if pre not in partition.first:
            np.add.at(host, target, sent)
            continue
        rows.append(core[partition.first[pre] + source])
        columns.append(target)
        weights.append(sent)
    if not rows:
        return Traffic(sparse.csr_matrix((cores, cores)), host)
    triples = (np.concatenate(weights), (np.concatenate(rows), np.concatenate(columns)))
    between = sparse.csr_matrix(triples, shape=(cores, cores))
    between.setdiag(0)
    between.eliminate_zeros()
    return Traffic(between, host)


def _once(
    piece: IntArray, core: IntArray, neurons: IntArray, most: IntArray, cores: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Pairs (piece, core), each once: pieces there hear different neurons, at most all of them."""
    key = piece * cores + core
    found, inverse = np.unique(key, return_inverse=True)
    heard = np.bincount(inverse, weights=neurons, minlength=found.size).astype(np.int64)
    source = found // cores
    return source, found % cores, np.minimum(heard, most[source])
