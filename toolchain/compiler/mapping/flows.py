"""Who drives whom, piece by piece: what packing and traffic are computed from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...ground.arith import IntArray
from .demand import Rates
from .partition import Partition

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Flows:
    """Sources are the pieces, then the host's populations.

    drivers  [sources, pieces] neurons of a source that drive a piece, at most all it has
    size     [sources] neurons;  rate [sources] events per neuron and step
    width    [sources] bits of a message, or one number for all
    """

    drivers: sparse.csr_matrix
    size: IntArray
    rate: Array
    width: Array | float = 1.0

    @property
    def pieces(self) -> int:
        """Pieces, the host's populations left out."""
        return int(self.drivers.shape[1])


def flows(partition: Partition, rate: Rates, width: Rates | None = None) -> Flows:
    """The flows of a partition; projections between the same two pieces are taken together.

    width  bits of a message of each population (default: all alike)
    """
    pieces = len(partition.pieces)
    host = {name: pieces + i for i, name in enumerate(partition.hosted)}
    rows, columns, neurons = ([np.zeros(0, dtype=np.int64)] for _ in range(3))
    for pre, post, pairs in partition.pairs:
        at_host = pre not in partition.first
        rows.append(
            np.full_like(pairs.pre, host[pre]) if at_host else partition.first[pre] + pairs.pre
        )
        columns.append(partition.first[post] + pairs.post)
        neurons.append(pairs.neurons)
    sources = pieces + len(host)
    triples = (np.concatenate(neurons), (np.concatenate(rows), np.concatenate(columns)))
    drivers = sparse.csr_matrix(triples, shape=(sources, pieces), dtype=np.int64)
    size = np.concatenate([partition.sizes(name) for name in (*partition.grids, *host)])
    drivers.data = np.minimum(drivers.data, np.repeat(size, np.diff(drivers.indptr)))
    names = [*(p.population for p in partition.pieces), *host]
    bits = 1.0 if width is None else np.array([width[name] for name in names])
    return Flows(drivers, size, np.array([rate[name] for name in names]), bits)
