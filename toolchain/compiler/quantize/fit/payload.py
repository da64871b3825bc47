"""Rounding of weights whose sums are sent on as they are: the read-out and relays of real values.

There is no spike to get wrong, so the sum's squared error on the calibration data is what counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ....ground.arith import IntArray
from ....ground.arithmetic import Arithmetic
from ....ir.graph import FloatArray
from ....ir.program import Projection
from ..state.mantissas import Mantissas, WeightBits
from ..state.quantizer_state import Inputs, QuantizerState, drive, real_drive
from ..state.values import array
from .compensate import Rounder
from .lanes import draw, lane_count, weighted
from .mantissa import assemble, grid_of, mantissas
from .terms import block, block_bits, split

ROWS = 1 << 14
"""Rows of calibration input that are looked at."""
MOST_FEATURES = 2048
HEADROOMS = range(6)


@dataclass(frozen=True, eq=False)
class Nearest:
    """Every weight to the nearest mantissa at a gain."""

    what: ClassVar[str] = "nearest"
    weights: Sequence[FloatArray]
    bits: WeightBits

    @property
    def stored(self) -> int:
        """Bits that a weight takes."""
        return self.bits.used

    def __call__(self, gain: float) -> Mantissas:
        """The mantissas at `gain`."""
        return mantissas(self.weights, gain, self.bits)


@dataclass(frozen=True, eq=False)
class InTwo:
    """Every weight as the sum of two mantissas: where one is coarser than what reads the sum."""

    what: ClassVar[str] = "nearest"
    weights: Sequence[FloatArray]
    widths: Arithmetic

    @property
    def gain(self) -> float:
        """The largest at which two mantissas hold every weight."""
        largest = max(float(np.abs(w).max(initial=0)) for w in self.weights)
        return block(self.widths) / largest / self._low

    @property
    def stored(self) -> int:
        """Bits that a weight takes, those of both mantissas."""
        return self.widths.weight_bits + block_bits(self.widths)

    @property
    def _low(self) -> int:
        """Units of the mantissas of the low bits in one of the high bits."""
        return 1 << (block_bits(self.widths) - 1)

    def __call__(self, gain: float) -> Mantissas:
        """The mantissas at `gain`, those of the low bits with headroom."""
        parts = [
            (t.weight, block_bits(self.widths) - 1 - t.exponent, i)
            for i, w in enumerate(self.weights)
            for t in split(np.rint(w * gain * self._low).astype(np.int64), self.widths)
        ]
        made, shifts, wires = zip(*parts, strict=True)
        return Mantissas(tuple(made), tuple(shifts), tuple(wires), gain, 0)


@dataclass(frozen=True, eq=False)
class Compensated:
    """The mantissas of one wire that leave the smallest squared error of the sums."""

    what: ClassVar[str] = "compensated"
    weight: FloatArray
    rounder: Rounder
    bits: WeightBits
    groups: int

    def __call__(self, gain: float) -> Mantissas:
        """The mantissas at `gain`, channels with headroom of their own where that is allowed."""
        headrooms = HEADROOMS if self.groups > 1 else range(1)
        grid = grid_of(self.weight, self.bits)
        made, headroom = self.rounder.with_headrooms(gain, headrooms, self.groups, grid)
        shared: IntArray = headroom if len(headrooms) > 1 else np.array(0)
        q = made.q.reshape(self.weight.shape)
        clipped = int(made.clipped.sum())
        return assemble([self.weight], [q], [shared], gain, self.bits, clipped)


def rounding(state: QuantizerState, inputs: Inputs, bits: WeightBits) -> Nearest | Compensated:
    """How the weights into a read-out are rounded: on the data where they suffice for it."""
    nearest = Nearest(inputs.weights, bits)
    options, wires = state.options, inputs.wires
    if state.lead is None or options.method == "naive" or not options.effort:
        return nearest
    if len(wires) != 1 or not weighted(wires[0]) or getattr(wires[0].layer, "groups", 1) != 1:
        return nearest
    weight = inputs.weights[0]
    samples, timesteps = state.lead
    features = weight[0].size
    rows = lane_count(wires[0], samples) * timesteps
    if rows < features or features > MOST_FEATURES:
        return nearest
    lanes = draw(wires[0], array(state.sent[wires[0].source]), ROWS // timesteps)
    x = lanes.x[0].reshape(features, -1).T.astype(np.float64)
    rounder = Rounder.of(weight.reshape(len(weight), -1), x)
    return Compensated(weight, rounder, bits, options.groups_of(inputs.node))


def mean_error(
    state: QuantizerState, inputs: Inputs, made: Sequence[Projection], scale: float
) -> FloatArray:
    """What rounding takes from the mean sum of each neuron [n]: it goes into the read-out's offset.

    0 without data: the offset is exact, so that this costs nothing on the chip.
    """
    size = state.size(inputs.node.name)
    if state.lead is None or state.options.method == "naive":
        return np.zeros(size)
    wanted = sum(
        (real_drive(state, inputs, i, w) for i, w in enumerate(inputs.weights)), np.zeros(size)
    )
    got = sum((drive(state, j) for j in made), state.zeros(inputs.node))
    error: FloatArray = (wanted - got / scale).mean(axis=(0, 1))
    return error
