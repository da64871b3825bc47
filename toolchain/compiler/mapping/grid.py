"""Ways to cut a population into equal tiles: a number of parts along each of its axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ir.placed import Tile
from ...ir.program import Shape

MOST_CANDIDATES = 60_000


@dataclass(frozen=True)
class Grid:
    """`axes` cut into `parts` each; parts of an axis differ by at most one in length."""

    axes: Shape
    parts: Shape

    @property
    def blocks(self) -> int:
        """Number of tiles."""
        return int(np.prod(self.parts))

    def tile(self, block: int) -> Tile:
        """One tile; tiles are numbered in C order."""
        at = [int(i) for i in np.unravel_index(block, self.parts)]
        pairs = list(zip(self.axes, self.parts, at, strict=True))
        return Tile(
            self.axes,
            tuple(n * i // k for n, k, i in pairs),
            tuple(n * (i + 1) // k for n, k, i in pairs),
        )

    def part_of(self, axis: int) -> IntArray:
        """The part that each place along an axis belongs to."""
        n, k = self.axes[axis], self.parts[axis]
        out: IntArray = (np.arange(n, dtype=np.int64) * k + k - 1) // n
        return out

    def neurons(self) -> IntArray:
        """Neurons of every tile [blocks]."""
        sizes = np.ones(1, dtype=np.int64)
        for n, k in zip(self.axes, self.parts, strict=True):
            ends = np.arange(k + 1, dtype=np.int64) * n // k
            sizes = np.outer(sizes, np.diff(ends)).ravel()
        return sizes

    def samples(self) -> list[int]:
        """First, middle and last tile: what a candidate is tried on."""
        middle = tuple(k // 2 for k in self.parts)
        return sorted({0, int(np.ravel_multi_index(middle, self.parts)), self.blocks - 1})


@dataclass(frozen=True, eq=False)
class Grids:
    """Many grids of one population: `parts` [n, axes] and the largest `lengths` [n, axes]."""

    axes: Shape
    parts: IntArray
    lengths: IntArray

    @classmethod
    def of(cls, axes: Shape, parts: IntArray) -> Grids:
        """Those parts of these axes."""
        return cls(axes, parts, -(-np.array(axes, dtype=np.int64) // parts))

    def __len__(self) -> int:
        return len(self.parts)

    def __getitem__(self, i: int) -> Grid:
        return Grid(self.axes, tuple(self.parts[i].tolist()))

    def keep(self, which: NDArray[np.generic]) -> Grids:
        """Only these (a mask, or indices in the order wanted)."""
        return Grids(self.axes, self.parts[which], self.lengths[which])

    @property
    def blocks(self) -> IntArray:
        """Tiles of each grid [n]."""
        out: IntArray = self.parts.prod(axis=1)
        return out

    @property
    def neurons(self) -> IntArray:
        """Neurons of the largest tile of each grid [n]."""
        out: IntArray = self.lengths.prod(axis=1)
        return out


def grids(axes: Shape) -> Grids:
    """Every grid worth trying, fewest tiles first."""
    useful = [_useful_parts(n) for n in axes]
    while np.prod([len(u) for u in useful], dtype=np.float64) > MOST_CANDIDATES:
        longest = max(range(len(useful)), key=lambda i: len(useful[i]))
        few = useful[longest]
        useful[longest] = np.unique(np.append(few[::2], few[-1]))
    parts = np.stack([g.ravel() for g in np.meshgrid(*useful, indexing="ij")], axis=1)
    return Grids.of(axes, parts[np.argsort(parts.prod(axis=1), kind="stable")])


def _useful_parts(length: int) -> IntArray:
    """The k in 1..length for which ceil(length / k) is smaller than for k - 1."""
    sizes = np.unique(-(-length // np.arange(1, length + 1, dtype=np.int64)))
    useful: IntArray = np.unique(-(-length // sizes))
    return useful
