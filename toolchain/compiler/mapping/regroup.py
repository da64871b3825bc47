"""Regroup: move and swap pieces between cores so that fewer messages leave them.

What packing made stays legal: a move or a swap must leave both cores within every resource, and
no core busier than allowed. The first pieces are tried first, so equal inputs give equal results.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from .flows import Flows

Array = NDArray[np.float64]
SWEEPS = 8
MOST_VISITS = 500_000_000
"""Bound on the work: flows looked at."""


@dataclass(frozen=True, eq=False)
class Room:
    """What must stay true of cores.

    share   [pieces, resources] share of a core
    time    [pieces] how long a piece keeps its core busy; a core stays below `most`, or below what
            it had
    group   [pieces] population, of which a core holds at most `groups`
    """

    share: Array
    time: Array
    group: IntArray
    groups: int
    most: float


def regroup(core: IntArray, room: Room, flows: Flows) -> IntArray:
    """The core of each piece, with fewer messages than `core` or as many.

    core   [pieces] numbered from 0, in use without gaps
    """
    from .swaps import Links, improve

    drivers = flows.drivers
    back = drivers.T.tocsr()
    links = Links(
        drivers.indptr.astype(np.int64),
        drivers.indices.astype(np.int64),
        drivers.data.astype(np.float64),
        back.indptr.astype(np.int64),
        back.indices.astype(np.int64),
        back.data.astype(np.float64),
        flows.size.astype(np.float64),
        flows.rate,
    )
    at = np.concatenate([core, np.full(flows.size.size - core.size, -1, dtype=np.int64)])
    cores = int(core.max(initial=-1)) + 1
    improve(
        at, room.share, room.time, room.group, room.groups, room.most, links, cores, SWEEPS,
        MOST_VISITS,
    )  # fmt: skip
    found: IntArray = at[: core.size]
    return found
