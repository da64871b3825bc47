"""Ways to cut a population into equal blocks.

A population whose input is a convolution is cut into tiles: along its pixels first, because all
cores then share the whole kernel, and along its channels where the kernel is too large for one
core. Every other population is cut into flat ranges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfx.toolchain.arith import IntArray
from sfx.toolchain.ir.program import Conv2d, Population, Program

Axes = tuple[int, int, int]


@dataclass(frozen=True)
class Split:
    """A population seen as `axes` (channels, rows, columns; or 1, 1, n), cut into `parts` each."""

    axes: Axes
    parts: Axes

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.parts[0] * self.parts[1] * self.parts[2]

    def indices(self, block: int) -> IntArray:
        """Flat indices of a block's neurons, ascending. Parts differ by at most one in length."""
        at = np.unravel_index(block, self.parts)
        c, y, x = (
            np.arange(n * i // k, n * (i + 1) // k, dtype=np.int64)
            for n, k, i in zip(self.axes, self.parts, map(int, at), strict=True)
        )
        rows = (c[:, None] * self.axes[1] + y).ravel()
        return (rows[:, None] * self.axes[2] + x).ravel()

    def samples(self) -> list[int]:
        """First, middle and last block: what a candidate is tried on."""
        middle = tuple(k // 2 for k in self.parts)
        return sorted({0, int(np.ravel_multi_index(middle, self.parts)), self.blocks - 1})


def axes_of(program: Program, population: Population) -> Axes:
    """(channels, rows, columns) if a convolution without a view feeds it, else (1, 1, size)."""
    for j in program.incoming[population.name]:
        c = j.connection
        if isinstance(c, Conv2d) and j.post_view is None:
            return c.out_shape
    return (1, 1, population.size)


@dataclass(frozen=True, eq=False)
class Candidates:
    """Splits of one population, fewest blocks first: arrays of `parts` and largest block sizes."""

    axes: Axes
    parts: IntArray
    """[n, 3]"""

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, i: int) -> Split:
        c, y, x = self.parts[i].tolist()
        return Split(self.axes, (c, y, x))

    def keep(self, which: NDArray[np.bool_]) -> Candidates:
        """Only these."""
        return Candidates(self.axes, self.parts[which])

    @property
    def blocks(self) -> IntArray:
        """Blocks of each candidate [n]."""
        out: IntArray = self.parts.prod(axis=1)
        return out

    @property
    def channels(self) -> IntArray:
        """Most channels in a block [n]."""
        return -(-self.axes[0] // self.parts[:, 0])

    @property
    def neurons(self) -> IntArray:
        """Most neurons in a block [n]."""
        out: IntArray = (-(-np.array(self.axes, dtype=np.int64) // self.parts)).prod(axis=1)
        return out


def candidates(axes: Axes) -> Candidates:
    """Every split worth trying: fewest blocks, then fewest channel parts, then square tiles."""
    grids = np.meshgrid(*(_useful_parts(n) for n in axes), indexing="ij")
    parts = np.stack([g.ravel() for g in grids], axis=1)
    out = Candidates(axes, parts)
    height, width = -(-axes[1] // parts[:, 1]), -(-axes[2] // parts[:, 2])
    order = np.lexsort((np.abs(height - width), height + width, parts[:, 0], out.blocks))
    return Candidates(axes, parts[order])


def _useful_parts(length: int) -> IntArray:
    """The k in 1..length for which ceil(length / k) is smaller than for k - 1."""
    sizes = np.unique(-(-length // np.arange(1, length + 1, dtype=np.int64)))
    useful: IntArray = np.unique(-(-length // sizes))
    return useful
