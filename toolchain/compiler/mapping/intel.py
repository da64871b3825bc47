"""How Intel's compiler cuts layers, as its logs show (docs/validation.md): objective `intel`.

Every layer has cores of its own. A convolution is cut into boxes of the same size, the last of a
row smaller: channels are halved, rounded up, until the kernel fits; columns are a power of two and
rows halved, rounded up; of the boxes that a core holds the one that needs fewest cores, then the
largest, then the one with whole rows. A dense layer is cut into runs of neurons: 4095, and while a
run does not fit, divided by how many times too large what it asks for is (at least 2).
"""

from __future__ import annotations

from math import ceil

import numpy as np

from ...targets.rules import check_core
from .grid import Grid
from .partition import Partitioner, PartitionGoals


def intel(parts: Partitioner, goals: PartitionGoals) -> dict[str, Grid]:
    """The cut of every population. Raises FitError (SFX-E410..E413) as `Partitioner.plan` does for
    what no cut makes fit.
    """
    parts.plan(goals)  # refuses what cannot be cut at all
    out = {}
    for name, meter in parts.meters.items():
        boxed = len(meter.axes) > 1 and meter.regular
        out[name] = _boxes(parts, name) if boxed else _runs(parts, name)
    return out


def _boxes(parts: Partitioner, name: str) -> Grid:
    """Channels first, columns last; axes between them are rows."""
    axes = parts.meters[name].axes
    middle, columns = [_halves(n) for n in axes[1:-1]], axes[-1]
    boxes = np.stack(np.meshgrid(*middle, _powers(columns), indexing="ij")).reshape(
        len(axes) - 1, -1
    )
    for channels in _halves(axes[0]):
        lengths = np.vstack([np.full(boxes.shape[1], channels), boxes]).T
        # as in the logs, the last box of a row counts as if it were as wide as the others
        lengths = lengths[lengths.prod(axis=1) <= parts.most_neurons(name)]
        taken = np.minimum(lengths, axes)
        fits = parts.meters[name].least_words(taken) <= parts.limits.synapse_words_per_core
        lengths = lengths[fits]
        blocks = np.prod(-(-np.array(axes) // lengths), axis=1)
        order = np.lexsort((-lengths[:, 1:-1].prod(axis=1), -lengths.prod(axis=1), blocks))
        for i in order.tolist():
            grid = Grid.of_lengths(axes, tuple(lengths[i].tolist()))
            if parts.fits(name, grid):
                return grid
    raise AssertionError(f"{name}: a plan exists, so single neurons fit")


def _runs(parts: Partitioner, name: str) -> Grid:
    size = parts.meters[name].population.size
    run = parts.most_neurons(name)
    while True:
        grid = Grid.of_lengths((size,), (min(run, size),))
        times = _times(parts, name, grid)
        if times <= 1 or run == 1:
            return grid
        run = max(1, run // max(2, ceil(times)))


def _times(parts: Partitioner, name: str, grid: Grid) -> float:
    """How many times of a core's memory and axons the largest run asks for."""
    limits, most = parts.limits, 0.0
    for block in grid.samples():
        usage = parts.usage(name, grid.tile(block))
        most = max(most, usage.synapse_words / limits.synapse_words_per_core)
        if check_core("", usage, limits):
            most = max(most, 1 + 1e-9, usage.axons_in / (limits.axons_in_per_core or np.inf))
    return most


def _halves(n: int) -> list[int]:
    out = [n]
    while out[-1] > 1:
        out.append(-(-out[-1] // 2))
    return out


def _powers(n: int) -> list[int]:
    """1, 2, 4, ... and the first that is not smaller than n."""
    return [1 << i for i in range((n - 1).bit_length() + 1)]
