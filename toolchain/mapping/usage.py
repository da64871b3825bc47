"""What a block takes of a core: neurons, words of synaptic memory, axons in."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from math import prod

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.ir.connections import permutation
from sfx.toolchain.ir.fan_in import FanIn
from sfx.toolchain.ir.placed import Usage
from sfx.toolchain.ir.program import Conv2d, Dense, Population, Program, Projection, Sparse
from sfx.toolchain.targets.memory import (
    STRUCTURED_WORDS,
    dense_axon_words,
    row_words,
    sparse_axon_words,
)
from sfx.toolchain.targets.target import Limits


class Meter:
    """Measures blocks of one population on one target. Holds what is common to all blocks."""

    def __init__(self, program: Program, population: Population, limits: Limits) -> None:
        self.program = program
        self.population = population
        self.limits = limits
        self.incoming = program.incoming[population.name]

    @cached_property
    def _fans(self) -> dict[str, FanIn]:
        size = self.population.size
        return {j.name: FanIn(j, self.program[j.pre].size, size) for j in self.incoming}

    @cached_property
    def _views(self) -> dict[str, IntArray]:
        size = self.population.size
        return {j.name: permutation(j.post_view, size) for j in self.incoming if j.post_view}

    def listens_to(self, indices: IntArray) -> dict[str, IntArray]:
        """Per pre population, the distinct neurons that drive these neurons: the axons in."""
        found: dict[str, list[IntArray]] = {}
        for j in self.incoming:
            found.setdefault(j.pre, []).append(self._fans[j.name].into(indices)[0])
        return {
            pre: parts[0] if len(parts) == 1 else np.unique(np.concatenate(parts))
            for pre, parts in found.items()
        }

    def words(self, indices: IntArray) -> int:
        """Words of synaptic memory of a block of these neurons."""
        return sum(self._projection_words(j, indices) for j in self.incoming)

    def _projection_words(self, j: Projection, indices: IntArray) -> int:
        match j.connection:
            case Dense():
                return self.program[j.pre].size * dense_axon_words(indices.size, self.limits)
            case Sparse():
                _, synapses = self._fans[j.name].into(indices)
                return int(sparse_axon_words(synapses, indices.size, self.limits).sum())
            case Conv2d() as c:
                at = indices if j.post_view is None else self._views[j.name][indices]
                channels = np.unique(at // (c.out_shape[1] * c.out_shape[2])).size
                return row_words(channels * prod(c.weight.shape[1:]), self.limits)
            case _:
                return STRUCTURED_WORDS

    def usage(self, indices: IntArray, *, axons: bool) -> Usage:
        """All but the axons out, which depend on where the others are; axons in only if asked."""
        heard = self.listens_to(indices) if axons else {}
        return Usage(indices.size, self.words(indices), sum(a.size for a in heard.values()), 0)

    def least_words(self, channels: IntArray, neurons: IntArray) -> IntArray:
        """A lower bound on the words of blocks with so many channels and neurons, all at once."""
        total = np.zeros_like(neurons)
        for j in self.incoming:
            match j.connection:
                case Dense():
                    row = -(-neurons * self.limits.weight_bits // self.limits.word_bits)
                    total += self.program[j.pre].size * (1 + row)
                case Conv2d() as c if j.post_view is None:
                    bits = channels * prod(c.weight.shape[1:]) * self.limits.weight_bits
                    total += -(-bits // self.limits.word_bits)
                case Sparse() | Conv2d():
                    pass
                case _:
                    total += STRUCTURED_WORDS
        return total


def describe(population: Population, indices: IntArray) -> str:
    """How messages name a block."""
    name = f"{population.name} ({population.module})" if population.module else population.name
    if indices.size == 1:
        return f"{name}, neuron {indices[0]}"
    return f"{name}, {indices.size} of {population.size} neurons"


def total(usages: Iterable[Usage]) -> Usage:
    """The sum: what blocks on one core take together (an upper bound where they share a kernel)."""
    rows = [(u.neurons, u.synapse_words, u.axons_in, u.axons_out) for u in usages]
    neurons, words, heard, sent = (sum(column) for column in zip(*rows, strict=True))
    return Usage(neurons, words, heard, sent)
