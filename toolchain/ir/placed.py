"""The placed Program: which neurons of which population sit on which core of which chip."""

from __future__ import annotations

from dataclasses import dataclass

from sfx.toolchain.ir.program import Program


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
