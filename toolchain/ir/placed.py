"""The placed Program: which neurons of which population sit on which core of which chip."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.ir.program import Program


def indices_of(ranges: Iterable[tuple[int, int]]) -> IntArray:
    """The flat indices of ((start, stop), ...), in order."""
    parts = [np.arange(start, stop, dtype=np.int64) for start, stop in ranges]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def ranges_of(indices: IntArray) -> tuple[tuple[int, int], ...]:
    """Ascending distinct indices as the fewest ((start, stop), ...)."""
    if indices.size == 0:
        return ()
    cuts = np.flatnonzero(np.diff(indices) != 1) + 1
    starts = indices[np.concatenate(([0], cuts))]
    stops = indices[np.concatenate((cuts - 1, [indices.size - 1]))] + 1
    return tuple(zip(starts.tolist(), stops.tolist(), strict=True))


@dataclass(frozen=True)
class Usage:
    """What one block takes of a core (units: neurons, words of synaptic memory, axons)."""

    neurons: int
    synapse_words: int
    axons_in: int
    axons_out: int


@dataclass(frozen=True)
class Block:
    """Neurons of one population that share a core: flat C-order indices, as index ranges.

    ranges  ((start, stop), ...) into the flattened population, ascending, disjoint
    core    index on the chip; chip index on the system
    """

    population: str
    ranges: tuple[tuple[int, int], ...]
    chip: int
    core: int
    usage: Usage

    @property
    def indices(self) -> IntArray:
        """Flat indices of its neurons in the population, ascending."""
        return indices_of(self.ranges)


@dataclass(frozen=True, eq=False)
class PlacedProgram:
    """A Program, the name of the target it was placed on, and its blocks (inputs have none)."""

    program: Program
    target: str
    blocks: tuple[Block, ...]

    @property
    def cores(self) -> int:
        """Distinct cores in use."""
        return len({(b.chip, b.core) for b in self.blocks})

    @property
    def chips(self) -> int:
        """Distinct chips in use."""
        return len({b.chip for b in self.blocks})
