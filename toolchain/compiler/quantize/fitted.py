"""Populations without a memory that compare a sum with levels: scales are tried, one is taken."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...ground.arith import IntArray
from ...ir import graph as g
from ...ir import program as p
from ...ir.record import LayerRecord
from .fit.counted import measured
from .fit.lif import COARSER, RealLIF, candidate_gains
from .fit.mantissa import dead_weights, mantissas, weight_error
from .fit.no_scale import no_scale
from .fit.real import RealCell
from .state.mantissas import Mantissas
from .state.memory import memory_bits
from .state.quantizer_state import Inputs, QuantizerState, drive
from .state.values import Values


@dataclass(frozen=True, eq=False)
class Fitted:
    """The integers of one population, and how far they are from the real numbers.

    unit  whole numbers of its membrane per 1.0 of the neuron's
    """

    neuron: p.NeuronProgram
    mantissas: Mantissas
    exponents: tuple[int, ...]
    unit: float
    exact: bool
    error: float


@dataclass(frozen=True, eq=False)
class Scheme(ABC):
    """How one neuron without a memory becomes integers.

    low, high  what it sends
    """

    inputs: Inputs
    real: RealCell
    low: int
    high: int

    @abstractmethod
    def integers(self, state: QuantizerState, m: Mantissas, bound: float) -> Fitted | None:
        """The integers at these mantissas, of which no sum is above `bound`; None: they do not fit.

        bound  in units of the mantissas
        """

    @abstractmethod
    def sends(self, state: QuantizerState, neuron: p.NeuronProgram, total: IntArray) -> IntArray:
        """What the neuron program sends for an input [K, T, n], its bias apart."""

    def choose(self, state: QuantizerState, found: list[Fitted]) -> Fitted:
        """The one to take of several that fit and round."""
        return found[0]

    @property
    def node(self) -> g.Node:
        """Of the graph."""
        return self.inputs.node

    def fits(self, state: QuantizerState) -> list[Fitted]:
        """The integers at every gain that is tried, where they fit."""
        plain = RealLIF(
            1.0, self.real.threshold, self.real.weights, self.real.bias_i, self.real.reached
        )
        gains = candidate_gains(plain, state.bits_of(self.node))
        return [f for gain in gains if (f := self._at(state, gain)) is not None]

    def _at(self, state: QuantizerState, gain: float) -> Fitted | None:
        """The integers at a gain, or at the finest below it that fits; None for none."""
        for _ in range(COARSER):
            m = mantissas(self.real.weights, gain, state.bits_of(self.node))
            bound = float(np.abs(self.inputs.bounds(state, m)).max(initial=0))
            found = self.integers(state, m, bound)
            if found is not None:
                return found
            gain /= 2
        return None

    def sent(self, state: QuantizerState, of: Fitted, values: Mapping[str, Values]) -> IntArray:
        """What it sends on the calibration data if its sources send `values` [K, T, n]."""
        made = self.inputs.made(of.mantissas, of.exponents)
        total: IntArray = sum((drive(state, j, values) for j in made), state.zeros(self.node))
        return self.sends(state, of.neuron, total)


def add(state: QuantizerState, scheme: Scheme) -> None:
    """Choose the integers, append population, projections and record.

    Raises UnsupportedError SFX-E310 if no scale fits.
    """
    node, weights = scheme.node, scheme.real.weights
    found = scheme.fits(state)
    if not found:
        raise no_scale(state, scheme.inputs, scheme.real, lambda s, r: bool(scheme.fits(s)))
    best = next((f for f in found if f.exact), None) or scheme.choose(state, found)
    made = scheme.inputs.made(best.mantissas, best.exponents)
    state.populations.append(
        p.Population(node.name, node.shape, best.neuron, scheme.low, scheme.high, -1, node.module)
    )
    state.projections.extend(made)
    scheme.inputs.note(state, best.mantissas, made, weights)
    record = LayerRecord(
        node.name,
        best.unit,
        state.bits_of(node).used,
        best.exact,
        best.mantissas.clipped,
        weight_error(weights, best.mantissas),
        best.error,
        0.0,
        dead=dead_weights(weights, best.mantissas),
        memory_bits=memory_bits(made, state.arithmetic),
    )
    sends = partial(scheme.sent, state, best)
    counts = measured(state, scheme.inputs, sends, signed=scheme.low < 0)
    state.records.append(replace(record, **counts))
