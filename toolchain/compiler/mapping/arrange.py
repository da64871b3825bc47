"""Arrange: cores onto the mesh and over chips, so that spikes travel short ways."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...ground.arith import IntArray
from ...targets.mesh import Mesh
from ...targets.target import Limits
from .traffic import Traffic

Array = NDArray[np.float64]
BORDER = 8.0
"""Hops that crossing to another chip is weighed as: those links are slow and shared."""
MOVES_PER_CORE = 3000
LEAST_MOVES = 2_000_000
"""Half a second. A net of few cores is arranged so often anew and the shortest is taken: of twelve
long tries of the demo's nine cores five ended more than a quarter above it."""
FEW_MOVES = 100
"""A core, for an estimate of how long the ways will be."""
MOST_VISITS = 1_500_000_000
"""Bound on the work: edges looked at."""


@dataclass(frozen=True, eq=False)
class Slots:
    """The cores of some chips, in their order on the mesh: where each is."""

    chip: IntArray
    core: IntArray
    x: IntArray
    y: IntArray

    def __len__(self) -> int:
        return self.chip.size


def slots(limits: Limits, chips: int) -> Slots:
    """All cores of the first `chips` chips of a compact rectangle, snaking from chip to chip."""
    chosen = np.array(compact(limits.chip_grid, chips), dtype=np.int64)
    chip = np.repeat(chosen, limits.cores_per_chip)
    core = np.tile(np.arange(limits.cores_per_chip, dtype=np.int64), chosen.size)
    x, y = Mesh.of(limits).router(chip, core)
    return Slots(chip, core, x, y)


def compact(grid: tuple[int, int], chips: int) -> list[int]:
    """`chips` chips in a near square at the grid's corner, each next to the one before."""
    width = min(grid[0], ceil(sqrt(chips)))
    height = ceil(chips / width)
    if height > grid[1]:
        width, height = ceil(chips / grid[1]), grid[1]
    out = []
    for row in range(height):
        columns = range(width) if row % 2 == 0 else range(width - 1, -1, -1)
        out += [row * grid[0] + column for column in columns]
    return out[:chips]


def roughly(traffic: Traffic, limits: Limits, chips: int) -> tuple[float, Slots, IntArray]:
    """About how far all messages of a step travel once arranged, chip borders weighed; and the
    slots of `chips` chips, and that of each core.
    """
    place, moves = slots(limits, chips), FEW_MOVES * traffic.from_host.size
    way, slot = _shortest(traffic, place, limits, range(1), moves)
    return way, place, slot


def arrange(
    traffic: Traffic, limits: Limits, chips: int, seed: int, moves: int | None = None
) -> tuple[Slots, IntArray]:
    """The slots of `chips` chips, and the slot of each core.

    moves  swaps in one try; by default by the number of cores, and small nets are tried again
    """
    place, cores = slots(limits, chips), traffic.from_host.size
    tries = 1 if moves else max(1, LEAST_MOVES // (MOVES_PER_CORE * cores))
    seeds = range(seed * tries, (seed + 1) * tries)
    return place, _shortest(traffic, place, limits, seeds, moves or MOVES_PER_CORE * cores)[1]


def _shortest(
    traffic: Traffic, place: Slots, limits: Limits, seeds: range, moves: int
) -> tuple[float, IntArray]:
    """How far the messages travel, chip borders weighed, and the slots, of the best seed's try."""
    graph, cores = with_host(traffic), traffic.from_host.size
    if cores < 2 or not graph.nnz:
        return 0.0, np.arange(cores, dtype=np.int64)
    found = (_annealed(graph, place, limits, seed, moves) for seed in seeds)
    return min(found, key=lambda it: it[0])


def _annealed(
    graph: sparse.csr_matrix, place: Slots, limits: Limits, seed: int, moves: int
) -> tuple[float, IntArray]:
    """The same of one seed."""
    from .anneal import anneal

    cores = graph.shape[0] - 1
    slot_of = np.append(np.arange(cores, dtype=np.int64), 0)
    mesh = Mesh.of(limits)
    x, y = stretched(place, mesh)
    visits = 4.0 * graph.nnz / cores
    nearest, lines = _routers(place, mesh)
    anneal(
        graph.indptr.astype(np.int64),
        graph.indices.astype(np.int64),
        graph.data.astype(np.float64),
        x,
        y,
        slot_of,
        cores,
        nearest,
        lines,
        int(min(moves, MOST_VISITS / visits)),
        seed,
    )
    ways = graph.tocoo()
    a, b = slot_of[ways.row], slot_of[ways.col]
    far = ways.data @ (np.abs(x[a] - x[b]) + np.abs(y[a] - y[b]))
    return float(far) / 2, slot_of[:cores]  # the graph has each way twice


def with_host(traffic: Traffic) -> sparse.csr_matrix:
    """The traffic in both directions, symmetric, with the host as the last node."""
    host = sparse.csr_matrix(traffic.from_host)
    both = traffic.between + traffic.between.T
    return sparse.csr_matrix(sparse.bmat([[both, host.T], [host, None]]))


def stretched(place: Slots, mesh: Mesh) -> tuple[Array, Array]:
    """Coordinates in which a chip border is BORDER long."""
    return (
        place.x + BORDER * (place.x // mesh.size[0]),
        place.y + BORDER * (place.y // mesh.size[1]),
    )


def _routers(place: Slots, mesh: Mesh) -> tuple[IntArray, Array]:
    """[rows, columns, cores per router] slots at each router, and the stretched lines [2, n]."""
    rows, columns = int(place.y.max()) + 1, int(place.x.max()) + 1
    nearest = np.full((rows, columns, mesh.cores_per_router), -1, dtype=np.int64)
    within = place.core % mesh.cores_per_router
    nearest[place.y, place.x, within] = np.arange(len(place))
    n = max(rows, columns)
    along = np.arange(n, dtype=np.float64)
    lines = np.stack([along + BORDER * (np.arange(n) // size) for size in mesh.size])
    return nearest, lines
