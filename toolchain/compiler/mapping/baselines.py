"""What other mappers do, reimplemented from their descriptions, to compare with.

Each gives grids for `Partitioner.measure`, one piece a core; placement is sequential.

sequential  flat ranges as long as a core holds neurons (Lava's mapper numbers cores in order)
split rule  NengoLoihi: equal flat ranges, as many as the scarcest resource asks for
2-D tiles   NxTF's shape (arXiv:2101.04261): pixels in near squares with all channels; channels
            are cut only where the kernel does not fit
intel       Intel's compiler (`intel`); the objective of this name is this cut, placed by our
            annealing
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ground.errors import FitError, Problem
from .grid import Grid
from .intel import intel
from .partition import Partitioner, PartitionGoals


def sequential(parts: Partitioner, goals: PartitionGoals) -> dict[str, Grid]:
    """Flat ranges by neurons alone: other limits may be broken."""
    del goals
    out = {}
    for name, meter in parts.meters.items():
        size = meter.population.size
        out[name] = Grid((size,), (-(-size // parts.most_neurons(name)),))
    return out


def split_rule(parts: Partitioner, goals: PartitionGoals) -> dict[str, Grid]:
    """The fewest equal flat ranges that each fit a core."""
    del goals
    return {name: _fewest(parts, name, (m.population.size,)) for name, m in parts.meters.items()}


def tiles(parts: Partitioner, goals: PartitionGoals) -> dict[str, Grid]:
    """Near-square pixels with all channels, channels cut where they must be."""
    del goals
    return {name: _fewest(parts, name, m.axes) for name, m in parts.meters.items()}


def tiles_over(parts: Partitioner, goals: PartitionGoals, cores: int) -> dict[str, Grid]:
    """2-D tiles over about `cores` cores: each population gets them by the time it takes."""
    took = {
        name: m.population.size * goals.seconds_per_neuron[name] for name, m in parts.meters.items()
    }
    spare = cores - sum(grid.blocks for grid in tiles(parts, goals).values())
    more = max(spare, 0) / max(sum(took.values()), 1e-30)
    return {
        name: _fewest(
            parts, name, m.axes, _fewest(parts, name, m.axes).blocks + int(more * took[name])
        )
        for name, m in parts.meters.items()
    }


BASELINES: dict[str, Callable[[Partitioner, PartitionGoals], dict[str, Grid]]] = {
    "sequential": sequential,
    "split rule": split_rule,
    "2-D tiles": tiles,
    "intel": intel,
}


def _fewest(parts: Partitioner, name: str, axes: tuple[int, ...], at_least: int = 1) -> Grid:
    """The fitting grid of these axes with fewest pieces, then uncut channels, then squares.

    at_least  pieces; as many as there can be where there are not so many
    """
    from .grid import grids

    tries = grids(axes)
    spread = np.ptp(tries.lengths[:, 1:], axis=1) if len(axes) > 1 else np.zeros(len(tries))
    order = np.lexsort((spread, tries.parts[:, 0], tries.blocks))
    enough = min(at_least, int(tries.blocks.max()))
    for i in order.tolist():
        if tries.blocks[i] >= enough and parts.fits(name, tries[i]):
            return tries[i]
    raise FitError.of([Problem("SFX-E410", name, "does not fit", "use the mapping of sfx")])
