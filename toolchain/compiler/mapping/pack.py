"""Pack: pieces onto cores, several populations on one where they fit.

Resources add up (a kernel is counted for each of its pieces), so a packed core is legal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...targets.target import Limits
from .partition import Piece

Array = NDArray[np.float64]


def shares(pieces: Sequence[Piece], limits: Limits) -> Array:
    """[pieces, resources]: share of a core; resources whose limit is not public take none."""
    usage = np.array(
        [
            (
                limits.neuron_share(p.usage.neurons, p.usage.stateful),
                p.usage.synapse_words / limits.synapse_words_per_core,
                p.usage.axons_in / (limits.axons_in_per_core or np.inf),
                p.usage.axons_out / (limits.axons_out_per_core or np.inf),
            )
            for p in pieces
        ]
    )
    return usage.reshape(-1, 4)


def most_groups(limits: Limits, group: IntArray) -> int:
    """Populations that may share a core; all of them where the target does not say."""
    every = int(group.max(initial=0)) + 1
    return min(limits.neuron_groups_per_core or every, every)


def pack(share: Array, group: IntArray, groups: int) -> IntArray:
    """The core of each piece on as few cores as best fit needs.

    share   [pieces, resources], each <= 1
    group   [pieces] population; pieces of one population keep together where that costs no core
    groups  of which a core holds at most so many
    """
    from .fill import fill

    order = np.lexsort((group, -np.round(share.max(axis=1), 6)))
    nothing = np.zeros(len(share))
    light = np.ones(len(share), dtype=np.bool_)
    return renumbered(fill(order, share, nothing, light, group, groups, 1.0, 0))


def level(share: Array, busy: Array, group: IntArray, groups: int, cores: int) -> IntArray:
    """The core of each piece, all cores about equally busy; more than `cores` only if they must.

    What takes more time than space goes to the idlest core, longest first; what takes space then
    fills up, idle cores first.
    busy  [pieces] seconds a step
    """
    from .fill import fill

    time = busy / max(busy.sum() / max(cores, 1), 1e-30)
    space = share.max(axis=1)
    light = space > time
    order = np.lexsort((-np.where(light, space, time), light))
    return renumbered(fill(order, share, time, light, group, groups, 0.0, cores))


def renumbered(core: IntArray) -> IntArray:
    """Cores in use, numbered in the order of their first pieces."""
    _, first, inverse = np.unique(core, return_index=True, return_inverse=True)
    rank = np.empty(first.size, dtype=np.int64)
    rank[np.argsort(first)] = np.arange(first.size)
    out: IntArray = rank[inverse]
    return out
