"""What projections carry of the source model: its layers' weights and biases, each on a scale.

A layer of the model may become several projections: read by several populations (a residual
stream, a layer that is used twice), by several copies of one neuron (recurrence), or split in two
terms. They hold the same numbers on scales of their own, and fine-tuning trains those once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .graph import FloatArray


@dataclass(frozen=True, eq=False)
class Carried:
    """Projections that add up to the weights of one layer, on their way to one population.

    layer        of the source model; those of one name hold the same weights
    projections  names: of parts (output channels of their own) or of terms (high and low bits)
    scale        [O], or [1] for all: what arrives of an input of 1 per 1.0 of the layer's weight
    absent       [O, ...] True where the layer has no synapse; None: it has all
    """

    layer: str
    projections: tuple[str, ...]
    scale: FloatArray
    absent: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Constant:
    """Projections from a neuron that always fires, which add up to a bias of `population`.

    threshold  in units of what they bring
    """

    population: str
    projections: tuple[str, ...]
    threshold: float


@dataclass(frozen=True)
class Origins:
    """All that is known of a Program's weights."""

    weights: tuple[Carried, ...] = ()
    constants: tuple[Constant, ...] = ()

    @property
    def dense(self) -> Origins:
        """The same, as if all synapses were there."""
        return replace(self, weights=tuple(replace(c, absent=None) for c in self.weights))
