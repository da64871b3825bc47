"""What tiles take of a core: neurons, words of synaptic memory, axons in. From shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from math import prod

import numpy as np

from ...ground.arith import IntArray
from ...ir.fan_in import FanIn
from ...ir.placed import Tile, Usage
from ...ir.program import Population, Program, Projection, Shape
from ...targets.memory import (
    STRUCTURED_WORDS,
    dense_axon_words,
    row_words,
    sparse_axon_words,
    stored_bits,
)
from ...targets.target import Limits
from .axes import Link, Pattern, pattern
from .overlap import Group, align


class Meter:
    """Measures tiles of one population, all tiles along the same `axes`, on one target."""

    def __init__(
        self, program: Program, population: Population, axes: Shape, limits: Limits
    ) -> None:
        self.program, self.population, self.limits = program, population, limits
        self.axes = axes
        self.incoming = program.incoming[population.name]
        self.patterns = {
            j.name: pattern(j, program[j.pre].size, population.size) for j in self.incoming
        }

    @cached_property
    def bits(self) -> dict[str, int]:
        """Bits of a stored weight of each projection into the population."""
        return {j.name: stored_bits(j, self.limits) for j in self.incoming}

    @cached_property
    def _groups(self) -> dict[str, list[Group]]:
        return {
            name: align(self.axes, p.post) for name, p in self.patterns.items() if p is not None
        }

    @cached_property
    def _fans(self) -> dict[str, FanIn]:
        size = self.population.size
        return {j.name: FanIn(j, self.program[j.pre].size, size) for j in self.incoming}

    @property
    def regular(self) -> bool:
        """True if every figure of a tile follows from its lengths."""
        return not any(j.connection.storage == "sparse" for j in self.incoming)

    def words(self, tile: Tile) -> int:
        """Words of synaptic memory of a tile, also of one along other axes than ours."""
        if tile.axes == self.axes:
            total = int(self.least_words(np.array([tile.lengths], dtype=np.int64))[0])
        else:  # the channels of a convolution are counted neuron by neuron
            one = np.array([tile.neurons], dtype=np.int64)
            total = int(self._words(one, lambda j: np.array([self._channels_of(j, tile)]))[0])
        for j in self.incoming:
            if j.connection.storage == "sparse":
                _, synapses = self._fans[j.name].into(tile.indices)
                words = sparse_axon_words(synapses, tile.neurons, self.bits[j.name], self.limits)
                total += int(words.sum())
        return total

    def _channels_of(self, j: Projection, tile: Tile) -> int:
        wiring = self.patterns[j.name]
        if wiring is None:
            return tile.neurons
        at = np.unravel_index(tile.indices, wiring.post)
        channel = np.zeros(tile.neurons, dtype=np.int64)
        for p in wiring.channels:
            channel = channel * wiring.post[p] + at[p]
        return int(np.unique(channel).size)

    def least_words(self, lengths: IntArray) -> IntArray:
        """Words of tiles of these lengths [n, axes], Sparse projections left out."""
        return self._words(lengths.prod(axis=1), lambda j: self._channels(j, lengths))

    def _words(self, neurons: IntArray, channels: Callable[[Projection], IntArray]) -> IntArray:
        """Words of tiles of so many neurons [n]; `channels` of a convolution lie in each."""
        total = np.zeros(len(neurons), dtype=np.int64)
        for j in self.incoming:
            match j.connection.storage:
                case "dense":
                    words = dense_axon_words(neurons, self.bits[j.name], self.limits)
                    total += self.program[j.pre].size * words
                case "kernel":
                    weights = channels(j) * j.connection.kernel().weights
                    total += row_words(weights, self.bits[j.name], self.limits)
                case "sparse":
                    pass
                case "pattern":
                    total += STRUCTURED_WORDS
        return total

    def _channels(self, j: Projection, lengths: IntArray) -> IntArray:
        """Most out channels in a tile of each of these lengths."""
        wiring = self.patterns[j.name]
        if wiring is None or j.connection.storage != "kernel":
            neurons: IntArray = lengths.prod(axis=1)
            return neurons
        return self._extent(j.name, wiring.channels, wiring.post, lengths)

    def _extent(
        self, name: str, positions: tuple[int, ...], post: Shape, lengths: IntArray
    ) -> IntArray:
        """At most so many places along these pattern axes lie in a tile of each of the lengths."""
        out = np.ones(len(lengths), dtype=np.int64)
        for g in self._groups[name]:
            here = [p for p in g.pattern_axes if p in positions]
            if here:
                whole = prod(post[p] for p in here)
                cut = lengths[:, list(g.grid_axes)].prod(axis=1)
                out *= np.minimum(cut, whole)
        return out

    def axons_in(self, lengths: IntArray, j: Projection) -> IntArray:
        """About how many pre neurons of `j` drive a tile of each of these lengths (an estimate)."""
        wiring = self.patterns[j.name]
        pre = self.program[j.pre].size
        if wiring is None:
            return np.full(len(lengths), pre, dtype=np.int64)
        linked = {p for link in wiring.links for p in link.pre}
        free = prod(n for p, n in enumerate(wiring.pre) if p not in linked)
        out = np.full(len(lengths), free, dtype=np.int64)
        for link in wiring.links:
            extent = self._extent(j.name, link.post, wiring.post, lengths)
            out *= _reach(link, wiring)[np.maximum(extent, 1) - 1]
        return np.minimum(out, pre)

    def counted_axons_in(self, tile: Tile) -> int:
        """Exactly how many pre neurons drive a tile: the axons in."""
        found: dict[str, list[IntArray]] = {}
        for j in self.incoming:
            found.setdefault(j.pre, []).append(self._fans[j.name].into(tile.indices)[0])
        return sum(np.unique(np.concatenate(parts)).size for parts in found.values())


def _reach(link: Link, wiring: Pattern) -> IntArray:
    """Pre places that 1, 2, ... neighbouring post places meet, at most [post places]."""
    size = prod(wiring.post[p] for p in link.post)
    if link.relation is None:
        return np.arange(1, size + 1, dtype=np.int64)
    first = link.relation.argmax(axis=0)
    last = len(link.relation) - 1 - link.relation[::-1].argmax(axis=0)
    gaps = int(link.relation.sum(axis=0).max())
    out = np.empty(size, dtype=np.int64)
    for n in range(1, size + 1):
        span = last[n - 1 :] - first[: size - n + 1] + 1
        out[n - 1] = min(int(span.max()), gaps * n)
    return out


def describe(population: Population, tile: Tile) -> str:
    """How messages name a tile."""
    name = f"{population.name} ({population.module})" if population.module else population.name
    if tile.neurons == 1:
        return f"{name}, neuron {tile.indices[0]}"
    return f"{name}, {tile.neurons} of {population.size} neurons"


def total(usages: Iterable[Usage]) -> Usage:
    """The sum: what blocks on one core take together (an upper bound where they share a kernel)."""
    rows = [(u.neurons, u.synapse_words, u.axons_in, u.axons_out, u.stateful) for u in usages]
    return Usage(*(sum(column) for column in zip(*rows, strict=True)))
