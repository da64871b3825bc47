"""What other mappers do, reimplemented from their descriptions, to compare with.

Each gives grids for `Partitioner.measure`, one piece a core; placement is sequential.

sequential  flat ranges as long as a core holds neurons (Lava's mapper numbers cores in order)
split rule  NengoLoihi: equal flat ranges, as many as the scarcest resource asks for
2-D tiles   NxTF's shape (arXiv:2101.04261): pixels in near squares with all channels; channels
            are cut only where the kernel does not fit
halving     Lava's partitioner: the last axis in powers of two until a piece fits; the objective
            `intel` is this cut, placed by our annealing
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...ground.errors import FitError, Problem
from .grid import Grid
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


def halving(parts: Partitioner, goals: PartitionGoals) -> dict[str, Grid]:
    """The last axis cut into pieces of 2^n places, the largest that fit."""
    del goals
    out = {}
    for name, meter in parts.meters.items():
        axes, last = meter.axes, meter.axes[-1]
        lengths = [1 << n for n in range(last.bit_length(), -1, -1)]
        grids = [Grid(axes, (*(1,) * (len(axes) - 1), -(-last // n))) for n in lengths]
        fits = [g for g in grids if parts.fits(name, g)]
        out[name] = fits[0] if fits else _fewest(parts, name, axes)
    return out


BASELINES: dict[str, Callable[[Partitioner, PartitionGoals], dict[str, Grid]]] = {
    "sequential": sequential,
    "split rule": split_rule,
    "2-D tiles": tiles,
    "halving": halving,
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
