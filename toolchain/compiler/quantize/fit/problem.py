"""One population on the calibration data: what its integers must do, and how they are judged."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ....ground.arith import IntArray
from ....ir.graph import FloatArray
from ....ir.single import single
from ..state.mantissas import WeightBits
from ..state.quantizer_state import Inputs, QuantizerState, drive, real_drive
from ..state.values import array
from .lanes import Lanes, draw, lane_count
from .lif import (
    Bound,
    Form,
    QuantizedLIF,
    RealLIF,
    integers,
    quantize_lif,
)
from .mantissa import assemble

ROWS_PER_WEIGHT = 4
"""Observations per weight below which a fit would learn the sample by heart."""
WEIGHT_OF_TRUE = 2
"""How much a wrong spike counts where the undisturbed float model does what the target asks."""


@dataclass(frozen=True, eq=False)
class Draft:
    """Whole numbers of every wire and the headroom of their channels at one gain."""

    gain: float
    scaled: tuple[FloatArray, ...]
    headrooms: tuple[IntArray, ...]
    bias: FloatArray
    clipped: int


@dataclass(frozen=True, eq=False)
class Problem:
    """One population on the calibration data: what it must do, and how a draft is judged."""

    state: QuantizerState
    inputs: Inputs
    real: RealLIF
    bound: Bound
    bits: WeightBits
    groups: int
    effort: float

    @property
    def form(self) -> Form:
        """T, the shape of the population, the widths."""
        state = self.state
        return Form(state.graph.timesteps, self.inputs.node.shape, state.arithmetic)

    def target(self) -> NDArray[np.int8]:
        """What the float layer does on what its sources really send [K, T, n]: a spike if > 0.

        The magnitude is what a wrong step counts: more where the undisturbed model does the same,
        since nothing is gained by sending just the spikes that errors of earlier layers cause.
        """
        current = self.real.bias + sum(
            real_drive(self.state, self.inputs, i, w) for i, w in enumerate(self.real.weights)
        )
        spikes = np.zeros(current.shape, np.bool_)
        v, threshold = np.zeros_like(current[:, 0]), single(self.real.threshold)
        for t in range(current.shape[1]):
            v = single(v * (1 - self.real.decay) + current[:, t])
            spikes[:, t] = v >= threshold if self.real.reached else v > threshold
            v[spikes[:, t]] = 0
        true = self.state.target(self.inputs.node.name)
        assert true is not None
        worth = np.where(spikes == (true > 0), np.int8(WEIGHT_OF_TRUE), np.int8(1))
        return np.where(spikes, worth, -worth)

    def input_of(self, q: QuantizedLIF) -> IntArray:
        """a_in [K, T, n] on what the sources really send."""
        total = self.state.zeros(self.inputs.node)
        for j in self.inputs.made(q.mantissas, q.exponents):
            total = total + drive(self.state, j)
        return total

    def nearest(self, gain: float) -> QuantizedLIF:
        """Every weight rounded to the nearest at one gain."""
        return quantize_lif(self.real, gain, self.bound, self.form, self.bits)

    def integers_of(self, draft: Draft) -> QuantizedLIF | None:
        """The draft's neuron, or None where no exponent is legal."""
        m = assemble(
            self.real.weights, draft.scaled, draft.headrooms, draft.gain, self.bits, draft.clipped
        )
        real = replace(self.real, bias=draft.bias)
        q = integers(real, m, self.bound, self.form)
        return None if q is None else replace(q, exact=False)

    def lanes(self, wire: int, work: float, limit: float) -> Lanes | None:
        """Lanes for `limit` units of work at `work` units each; None if too few to learn from."""
        w, weight = self.inputs.wires[wire], self.real.weights[wire]
        assert self.state.lead is not None
        samples, timesteps = self.state.lead
        count = min(lane_count(w, samples), int(limit * self.effort / work))
        features = weight[0].size
        if count * timesteps < ROWS_PER_WEIGHT * features:
            return None
        return draw(w, array(self.state.sent[w.source]), count)
