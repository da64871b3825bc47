"""What a map is expected to take: the terms that `compiler.cost` charges, from spike rates.

The same formulas on mean rates: a step is the largest of its terms, energy what differs between
maps. Reports count events; this only compares maps before there are any.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...targets.links import LinkLoads
from ...targets.mesh import Mesh
from ...targets.target import Target
from .arrange import Slots
from .traffic import Traffic

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """Seconds and joules of a hardware step.

    busiest  seconds of the busiest core: where the barrier binds on average, what single steps show
    way      how far its messages travel, borders weighed
    """

    step: float
    joules: float
    busiest: float
    way: float


@dataclass(frozen=True, eq=False)
class Work:
    """Seconds of a step, without messages: of the neurons and of the synapses of each core."""

    neurons: Array
    synapses: Array


def expected(
    work: Work,
    sent: Traffic,
    target: Target,
    at: tuple[Slots, IntArray] | None = None,
    way: float = 0.0,
) -> Expected:
    """The figures of a map. at: slots, and that of each core; None: links cost nothing."""
    cost = {name: q.value for name, q in target.costs.items()}
    cores, limits = sent.from_host.size, target.limits
    chips = -(-cores // limits.cores_per_chip)
    leaving = np.asarray(sent.between.sum(axis=1)).ravel() + sent.own
    arriving = np.asarray(sent.between.sum(axis=0)).ravel() + sent.own + sent.from_host
    link, border = (0.0, 0.0) if at is None else _links(sent, target, *at)
    cores_terms = (
        (work.neurons + cost.get("t_message_out", 0.0) * leaving).max(initial=0.0),
        (work.synapses + cost.get("t_message_in", 0.0) * arriving).max(initial=0.0),
    )
    terms = (
        *cores_terms,
        cost["t_link_bit"] * link,
        cost["t_chip_link_bit"] * border,
        cost.get("t_host_message", 0.0) * sent.from_host.sum(),
        cost["t_barrier"] + cost["t_barrier_per_doubling"] * log2(chips),
    )
    routers = -(-cores // limits.cores_per_router)
    sync = cost.get("t_sync", 0.0) + cost.get("t_sync_per_doubling", 0.0) * log2(max(routers, 1))
    step = float(max(terms)) + sync
    static = chips * (cost["p_static"] * step + cost.get("e_step", 0.0))
    joules = static + cost["k"] * cost["e_message"] * sent.messages
    return Expected(step, joules, float(max(cores_terms)), way)


def _links(sent: Traffic, target: Target, place: Slots, slot: IntArray) -> tuple[float, float]:
    """Bits of a step on the heaviest link and on the heaviest border of two chips."""
    graph = sent.between.tocoo()
    bits = graph.data * np.broadcast_to(sent.width, sent.from_host.shape)[graph.row]
    hosted = np.flatnonzero(sent.from_host)
    zero = np.zeros(hosted.size, dtype=np.int64)
    x, y = place.x[slot], place.y[slot]
    loads = LinkLoads(1, Mesh.of(target.limits), int(y.max(initial=0)))
    source = np.append(x[graph.row], zero), np.append(y[graph.row], zero)
    to = np.append(x[graph.col], x[hosted]), np.append(y[graph.col], y[hosted])
    loads.send(source, to, np.append(bits, sent.host_width * sent.from_host[hosted])[None])
    return float(loads.heaviest()[0]), float(loads.heaviest_chip_link()[0])
