"""Ways to cut a population into equal tiles: a number of parts along each of its axes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ...ground.arith import IntArray
from ...ir.placed import Tile
from ...ir.program import Shape

MOST_CANDIDATES = 60_000


@dataclass(frozen=True)
class Grid:
    """`axes` cut into `parts` each; parts of an axis differ by at most one in length.

    lengths  where it is given: parts have this length along each axis, the last what is left
    """

    axes: Shape
    parts: Shape
    lengths: Shape | None = None

    @classmethod
    def of_lengths(cls, axes: Shape, lengths: Shape) -> Grid:
        """Parts of these lengths."""
        parts = tuple(-(-n // k) for n, k in zip(axes, lengths, strict=True))
        return cls(axes, parts, lengths)

    def ends(self, axis: int) -> IntArray:
        """Where the parts of an axis begin and end [parts + 1]."""
        n, k = self.axes[axis], self.parts[axis]
        every = np.arange(k + 1, dtype=np.int64)
        if self.lengths is not None:
            return np.minimum(every * self.lengths[axis], n)
        return every * n // k

    @property
    def blocks(self) -> int:
        """Number of tiles."""
        return int(np.prod(self.parts))

    def tile(self, block: int) -> Tile:
        """One tile; tiles are numbered in C order."""
        at = [int(i) for i in np.unravel_index(block, self.parts)]
        ends = [self.ends(axis)[i : i + 2].tolist() for axis, i in enumerate(at)]
        return Tile(self.axes, tuple(a for a, _ in ends), tuple(b for _, b in ends))

    def tiles(self) -> list[Tile]:
        """All tiles, in their order."""
        ends = [self.ends(axis).tolist() for axis in range(len(self.axes))]
        starts, stops = product(*(e[:-1] for e in ends)), product(*(e[1:] for e in ends))
        return [Tile(self.axes, a, b) for a, b in zip(starts, stops, strict=True)]

    def part_of(self, axis: int) -> IntArray:
        """The part that each place along an axis belongs to."""
        return np.repeat(np.arange(self.parts[axis], dtype=np.int64), np.diff(self.ends(axis)))

    def neurons(self) -> IntArray:
        """Neurons of every tile [blocks]."""
        sizes = np.ones(1, dtype=np.int64)
        for axis in range(len(self.axes)):
            sizes = np.outer(sizes, np.diff(self.ends(axis))).ravel()
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
