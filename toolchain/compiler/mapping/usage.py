"""What tiles take of a core: neurons, words of synaptic memory, axons in. From shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from math import prod

import numpy as np

from ...ground.arith import IntArray
from ...ir.fan_in import FanIn
from ...ir.placed import Tile, Usage
from ...ir.program import Population, Program, Projection, Shape, Sparse
from ...targets import memory
from ...targets.memory import (
    STRUCTURED_WORDS,
    dense_axon_words,
    kernel_axons,
    kernel_words,
    sparse_axon_words,
    stored_bits,
)
from ...targets.target import Limits
from .axes import Link, Pattern, pattern, tidy
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
                    kernel = j.connection.kernel()
                    total += kernel_words(kernel, channels(j), self.bits[j.name], self.limits)
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

    def axons_in(self, lengths: IntArray) -> IntArray:
        """Axons in of tiles of each of these lengths [n], about (exact where `lists`, but for
        Sparse projections).
        """
        of = self._entries if self.limits.lists else self.drivers
        axons: IntArray = np.zeros(len(lengths), dtype=np.int64)
        for j in self.incoming:
            axons = axons + of(lengths, j)
        return axons

    def _entries(self, lengths: IntArray, j: Projection) -> IntArray:
        """Axons in where synapses are lists: pre neurons, but the parts of a kernel's lists."""
        match j.connection.storage:
            case "kernel":
                return kernel_axons(j.connection.kernel(), self._channels(j, lengths))
            case "pattern":
                return np.ones(len(lengths), dtype=np.int64)
            case "sparse":  # a few neurons have no more drivers than synapses
                most: IntArray = lengths.prod(axis=1) * self._most_synapses(j)
                return most.clip(None, self.program[j.pre].size)
            case _:
                return np.full(len(lengths), self.program[j.pre].size, dtype=np.int64)

    def _most_synapses(self, j: Projection) -> int:
        """Of one neuron of a Sparse projection's post."""
        c = j.connection
        return int(np.diff(c.indptr).max(initial=0)) if isinstance(c, Sparse) else c.synapses

    def drivers(self, lengths: IntArray, j: Projection) -> IntArray:
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
        """Exactly how many axons drive a tile."""
        if self.limits.lists:
            return self._counted_entries(tile)
        found: dict[str, list[IntArray]] = {}
        for j in self.incoming:
            found.setdefault(j.pre, []).append(self._fans[j.name].into(tile.indices)[0])
        return sum(np.unique(np.concatenate(parts)).size for parts in found.values())

    def _counted_entries(self, tile: Tile) -> int:
        lengths = np.array([tile.lengths], dtype=np.int64)
        count = 0
        for j in self.incoming:
            if j.connection.storage == "sparse":
                count += self._fans[j.name].into(tile.indices)[0].size
            elif j.connection.storage == "kernel" and tile.axes != self.axes:
                channels = np.array([self._channels_of(j, tile)], dtype=np.int64)
                count += int(kernel_axons(j.connection.kernel(), channels)[0])
            else:
                count += int(self._entries(lengths, j)[0])
        return count


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


def map_entries(program: Program, name: str, tile: Tile) -> int:
    """Axon map entries of a tile where synapses are lists: for each population that it drives one
    for each neuron, or for each place and list part of a kernel's input; at least one a neuron if
    it drives none, for the host.

    A tile that is not cut along the axes of that input counts as neuron by neuron.
    """
    into: dict[str, int] = {}
    for j in program.outgoing[name]:
        entries = tile.neurons
        shape = _input_shape(j)
        if shape is not None and j.pre_view is None and tile.axes == tidy(shape):
            channels = tile.lengths[0] if shape[0] > 1 else 1
            at = np.array([tile.neurons // channels], dtype=np.int64)
            entries = int(memory.map_entries(at, np.array([channels], dtype=np.int64))[0])
        into[j.post] = max(into.get(j.post, 0), entries)
    return sum(into.values()) if into else tile.neurons


def _input_shape(j: Projection) -> Shape | None:
    """Of a kernel [channels, ...]."""
    wiring = j.connection.wiring() if j.connection.storage == "kernel" else None
    return None if wiring is None else wiring.pre


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
