"""Which tiles of one population drive which tiles of another, and with how many neurons.

For a regular projection the number is a product over axes, so it costs what the axes are long,
not what the populations are large. Irregular ones (Sparse) are counted neuron by neuron.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ...ground.arith import IntArray
from ...ir.fan_in import FanIn
from ...ir.program import Program, Projection, Shape
from .axes import Link, Pattern, pattern
from .grid import Grid

MOST_CELLS = 1 << 26
"""Largest table of one group of axes; beyond it neurons are counted one by one."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Tile `pre[i]` has `neurons[i]` neurons that drive tile `post[i]`."""

    pre: IntArray
    post: IntArray
    neurons: IntArray


def overlap(program: Program, j: Projection, pre: Grid, post: Grid) -> Pairs:
    """All pairs of tiles that projection `j` joins (zero weights count as weights)."""
    wiring = pattern(j, program[j.pre].size, program[j.post].size)
    if wiring is None:
        return _counted(program, j, pre, post)
    pairs = Pairs(*(np.zeros(1, np.int64),) * 2, np.ones(1, np.int64))
    for part in _components(wiring, pre, post):
        if part.cells > MOST_CELLS:
            return _counted(program, j, pre, post)
        pairs = _combine(pairs, part.pairs())
    return pairs


def _combine(a: Pairs, b: Pairs) -> Pairs:
    return Pairs(
        (a.pre[:, None] + b.pre).ravel(),
        (a.post[:, None] + b.post).ravel(),
        (a.neurons[:, None] * b.neurons).ravel(),
    )


def _counted(program: Program, j: Projection, pre: Grid, post: Grid) -> Pairs:
    """By the indices of the neurons."""
    fan = FanIn(j, program[j.pre].size, program[j.post].size)
    owner = owner_of(pre)
    found = [np.bincount(owner[fan.into(post.tile(b).indices)[0]]) for b in range(post.blocks)]
    hits = [np.flatnonzero(f) for f in found]
    return Pairs(
        np.concatenate(hits),
        np.repeat(np.arange(post.blocks), [h.size for h in hits]),
        np.concatenate([f[h] for f, h in zip(found, hits, strict=True)]),
    )


def owner_of(grid: Grid) -> IntArray:
    """The tile of each neuron, flat."""
    owner = np.zeros(1, dtype=np.int64)
    for axis, parts in enumerate(grid.parts):
        owner = (owner[:, None] * parts + grid.part_of(axis)).ravel()
    return owner


# --- groups of axes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Consecutive axes of a grid and of a pattern that have the same product, `size`."""

    grid_axes: tuple[int, ...]
    pattern_axes: tuple[int, ...]
    size: int


def align(a: Shape, b: Shape) -> list[Group]:
    """The finest common grouping of two factorings of one size."""
    groups: list[Group] = []
    i = j = 0
    while i < len(a) or j < len(b):
        i0, j0, x, y = i, j, 1, 1
        while True:
            if x <= y and i < len(a):
                x, i = x * a[i], i + 1
            elif j < len(b):
                y, j = y * b[j], j + 1
            else:
                x, i = x * a[i], i + 1
            if x == y:
                break
        groups.append(Group(tuple(range(i0, i)), tuple(range(j0, j)), x))
    return groups


class _Side:
    """The axes of one population in one component: places, their parts and their coordinates."""

    def __init__(self, grid: Grid, wired: Shape, groups: Sequence[Group]) -> None:
        self.size = int(np.prod([g.size for g in groups], dtype=np.int64))
        self.offset = np.zeros(self.size, dtype=np.int64)
        self.at: dict[int, IntArray] = {}
        strides = [int(np.prod(grid.parts[i + 1 :], dtype=np.int64)) for i in range(len(grid.axes))]
        every = np.arange(self.size, dtype=np.int64)
        inside = _coordinates(every, tuple(g.size for g in groups))
        for g, place in zip(groups, inside, strict=True):
            along = _coordinates(place, tuple(grid.axes[a] for a in g.grid_axes))
            for axis, where in zip(g.grid_axes, along, strict=True):
                self.offset += grid.part_of(axis)[where] * strides[axis]
            wires = _coordinates(place, tuple(wired[a] for a in g.pattern_axes))
            self.at |= dict(zip(g.pattern_axes, wires, strict=True))

    def value(self, positions: Sequence[int], wired: Shape) -> IntArray:
        """The number that these axes spell, for every place."""
        out = np.zeros(self.size, dtype=np.int64)
        for p in positions:
            out = out * wired[p] + self.at[p]
        return out


def _coordinates(place: IntArray, shape: Shape) -> tuple[IntArray, ...]:
    return tuple(np.unravel_index(place, shape)) if shape else ()


class _Component:
    """Axes of both sides that links join; independent of all other axes."""

    def __init__(self, wiring: Pattern, links: Sequence[Link], pre: _Side, post: _Side) -> None:
        self.wiring, self.links, self.pre, self.post = wiring, links, pre, post

    @property
    def equal(self) -> bool:
        """True if every link asks for equal places."""
        return all(link.relation is None for link in self.links)

    @property
    def cells(self) -> int:
        """Size of the largest table that `pairs` makes."""
        both = self.pre.size * self.post.size
        return max(self.pre.size, self.post.size) if self.equal else both

    def pairs(self) -> Pairs:
        pre_tiles, pre_part = np.unique(self.pre.offset, return_inverse=True)
        post_tiles, post_part = np.unique(self.post.offset, return_inverse=True)
        if not self.links:
            counts = np.bincount(pre_part)[:, None] * np.ones(len(post_tiles), dtype=np.int64)
        elif self.equal:
            return self._equal_pairs(pre_tiles, pre_part, post_tiles, post_part)
        else:
            counts = _hits(self._meets(), pre_part, post_part)
        i, k = np.nonzero(counts)
        return Pairs(pre_tiles[i], post_tiles[k], counts[i, k])

    def _equal_pairs(
        self, pre_tiles: IntArray, pre_part: IntArray, post_tiles: IntArray, post_part: IntArray
    ) -> Pairs:
        """By joining both sides on what the links compare: no table of places."""
        keys = max(int(np.prod([self._span(link) for link in self.links], dtype=np.float64)), 1)
        a, b = (np.zeros(side.size, dtype=np.int64) for side in (self.pre, self.post))
        for link in self.links:
            a = a * self._span(link) + self.pre.value(link.pre, self.wiring.pre)
            b = b * self._span(link) + self.post.value(link.post, self.wiring.post)
        shapes = ((len(pre_tiles), keys), (keys, len(post_tiles)))
        mine = sparse.csr_matrix((np.ones(a.size, dtype=np.int64), (pre_part, a)), shape=shapes[0])
        reached = sparse.csr_matrix(
            (np.ones(b.size, dtype=np.int64), (b, post_part)), shape=shapes[1]
        )
        reached.data[:] = 1
        met = (mine @ reached).tocoo()
        return Pairs(pre_tiles[met.row], post_tiles[met.col], met.data.astype(np.int64))

    def _span(self, link: Link) -> int:
        return int(np.prod([self.wiring.pre[p] for p in link.pre], dtype=np.int64))

    def _meets(self) -> NDArray[np.bool_]:
        """[pre places, post places]: wired to each other."""
        meets = np.ones((self.pre.size, self.post.size), dtype=bool)
        for link in self.links:
            a = self.pre.value(link.pre, self.wiring.pre)
            b = self.post.value(link.post, self.wiring.post)
            meets &= a[:, None] == b if link.relation is None else link.relation[np.ix_(a, b)]
        return meets


def _hits(meets: NDArray[np.bool_], pre_part: IntArray, post_part: IntArray) -> IntArray:
    """Places of each pre part that meet any place of each post part."""
    order = np.argsort(post_part, kind="stable")
    starts = np.flatnonzero(np.diff(post_part[order], prepend=-1))
    any_of = np.logical_or.reduceat(meets[:, order], starts, axis=1)
    rows = np.argsort(pre_part, kind="stable")
    starts = np.flatnonzero(np.diff(pre_part[rows], prepend=-1))
    out: IntArray = np.add.reduceat(any_of[rows].astype(np.int64), starts, axis=0)
    return out


def _components(wiring: Pattern, pre: Grid, post: Grid) -> list[_Component]:
    """Groups of axes of both sides, joined where a link names axes of several."""
    sides = {"pre": (pre, wiring.pre), "post": (post, wiring.post)}
    groups = [(side, g) for side, (grid, axes) in sides.items() for g in align(grid.axes, axes)]
    label = list(range(len(groups)))
    home = {(side, a): i for i, (side, g) in enumerate(groups) for a in g.pattern_axes}

    def root(i: int) -> int:
        while label[i] != i:
            i = label[i]
        return i

    def touched(link: Link) -> list[int]:
        return [home["pre", a] for a in link.pre] + [home["post", a] for a in link.post]

    for link in wiring.links:
        first, *others = touched(link)
        for other in others:
            label[root(other)] = root(first)
    out = []
    for r in sorted({root(i) for i in range(len(groups))}):
        members = [g for i, g in enumerate(groups) if root(i) == r]
        links = [link for link in wiring.links if root(touched(link)[0]) == r]
        both = [
            _Side(grid, axes, [g for s, g in members if s == side])
            for side, (grid, axes) in sides.items()
        ]
        out.append(_Component(wiring, links, both[0], both[1]))
    return out
