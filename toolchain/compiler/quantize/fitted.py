"""Populations without a memory that compare a sum with levels: scales are tried, one is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...ground.arith import IntArray
from ...ir import graph as g
from ...ir import program as p
from ...ir.record import LayerRecord
from .fit.counted import counted
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
class Way:
    """How one neuron becomes integers.

    low, high  what it sends
    integers   (state, mantissas, largest sum of them) -> the integers, None if they do not fit
    sends      (neuron program, its input [K, T, n]) -> what it sends
    nearest    of several that fit and round, the one to take, beside what the data give
    """

    inputs: Inputs
    real: RealCell
    low: int
    high: int
    integers: Callable[[QuantizerState, Mantissas, float], Fitted | None]
    sends: Callable[[p.NeuronProgram, IntArray], IntArray]
    nearest: Callable[[list[Fitted]], Fitted]

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
        return self.sends(of.neuron, total)


def add(state: QuantizerState, way: Way) -> None:
    """Choose the integers, append population, projections and record.

    Raises UnsupportedError SFX-E310 if no scale fits.
    """
    node, weights = way.node, way.real.weights
    found = way.fits(state)
    if not found:
        raise no_scale(state, way.inputs, way.real, lambda s, r: bool(way.fits(s)))
    best = next((f for f in found if f.exact), None) or way.nearest(found)
    made = way.inputs.made(best.mantissas, best.exponents)
    state.populations.append(
        p.Population(node.name, node.shape, best.neuron, way.low, way.high, -1, node.module)
    )
    state.projections.extend(made)
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
    target = state.target(node.name)
    if target is not None:
        before = {w.source: state.as_sent(w.source) for w in way.inputs.wires}
        mine, alone = (way.sent(state, best, v) for v in (state.sent, before))
        state.keep_sent(node.name, mine, way.low < 0)
        whole = np.rint(target).astype(np.int64)
        record = replace(record, **counted(whole, alone, mine))
        state.note_silence(node.name, whole, mine)
    state.records.append(record)
