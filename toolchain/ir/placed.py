"""The placed Program: which neurons of which population sit on which core of which chip."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ground.arith import IntArray
from .program import Program, Shape


@dataclass(frozen=True)
class Tile:
    """A box of neurons: the population's flat C order seen as `axes`, cut to start..stop of each.

    Raises ValueError for a box that is empty or reaches out of its axes.
    """

    axes: Shape
    start: Shape
    stop: Shape

    def __post_init__(self) -> None:
        if not len(self.axes) == len(self.start) == len(self.stop) or not all(
            0 <= a < b <= n for a, b, n in zip(self.start, self.stop, self.axes, strict=True)
        ):
            raise ValueError(f"no tile of {self.axes}: {self.start} to {self.stop}")

    @property
    def lengths(self) -> Shape:
        """Extent along each axis."""
        return tuple(b - a for a, b in zip(self.start, self.stop, strict=True))

    @property
    def neurons(self) -> int:
        """Number of neurons in it."""
        return prod(self.lengths)

    def of(self, flat: NDArray[Any]) -> NDArray[Any]:
        """The tile's part of an array [population size], as a view [*lengths]."""
        where = tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))
        return flat.reshape(self.axes)[where]

    @property
    def indices(self) -> IntArray:
        """Flat indices of its neurons, ascending."""
        flat = np.zeros(1, dtype=np.int64)
        for n, a, b in zip(self.axes, self.start, self.stop, strict=True):
            flat = (flat[:, None] * n + np.arange(a, b, dtype=np.int64)).ravel()
        return flat


@dataclass(frozen=True)
class Usage:
    """What one block takes of a core (units: neurons, words of synaptic memory, axons).

    stateful  how many of the neurons keep a state from step to step
    axons_in, axons_out  at most so many: zero weights and shared axons are not subtracted
    """

    neurons: int
    synapse_words: int
    axons_in: int
    axons_out: int
    stateful: int = 0


@dataclass(frozen=True)
class Block:
    """Neurons of one population that share a core. core: index on the chip; chip: on the system."""

    population: str
    tile: Tile
    chip: int
    core: int
    usage: Usage

    @property
    def indices(self) -> IntArray:
        """Flat indices of its neurons in the population, ascending."""
        return self.tile.indices


@dataclass(frozen=True, eq=False)
class PlacedProgram:
    """A Program, the name of the target it was placed on, and its blocks (inputs have none).

    objective  what the mapping was made for: cores, latency, energy or intel
    seed       of the placement; equal seeds and inputs give equal blocks
    """

    program: Program
    target: str
    blocks: tuple[Block, ...]
    objective: str = "cores"
    seed: int = 0

    @property
    def cores(self) -> int:
        """Distinct cores in use."""
        return len({(b.chip, b.core) for b in self.blocks})

    @property
    def chips(self) -> int:
        """Distinct chips in use."""
        return len({b.chip for b in self.blocks})
