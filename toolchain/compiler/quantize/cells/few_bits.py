"""Weights of few bits for a cell: rounded so that their errors cancel on the calibration data.

As for plain neurons (`fit/compensate.py`): each channel has the power of two that suits it, and a
weight's error is spread over those that are still to be rounded, on inputs that are filtered as
the membrane filters them. Resets are not looked at. Found once, before any scale is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ....ground.arith import IntArray
from ....ir.graph import FloatArray
from ....ir.wires import Wire
from ..fit.compensate import Rounder, filtered
from ..fit.drafts import FLOPS, HEADROOMS, OCTAVE
from ..fit.lanes import draw, lane_count, weighted
from ..fit.mantissa import grid_of, largest_gain, shared_headroom
from ..fit.real import RealCell
from ..state.quantizer_state import Inputs, QuantizerState
from ..state.values import array

MOST_EXPONENTS = 3
"""Of one wire: each is a projection."""
ROWS_PER_WEIGHT = 0.25
"""Observations per input from which rounding is compensated; the damping takes care of the rest."""

Rounders = dict[int, list[Rounder]]
"""By wire, one for each group of channels."""


def few_bits(state: QuantizerState, inputs: Inputs, real: RealCell) -> Iterator[RealCell]:
    """The cell with what its weights are rounded to, where they have fewer bits than a synapse and
    there are data: first with all exponents for its rows, then with fewer, which leave a smaller
    range to the registers.
    """
    bits, options = state.bits_of(inputs.node), state.options
    streams = any(w.source in state.streams for w in inputs.wires)
    searched = options.method == "calibrated" and options.effort > 0
    if bits.used == bits.held or state.lead is None or streams or not searched:
        return
    rounders = _rounders(state, inputs, real)
    if not rounders:
        return
    largest = largest_gain(real.weights, bits)
    for most in (len(HEADROOMS), 3, 2, 1):
        rooms = HEADROOMS[:most]
        tried = [_at(state, inputs, real, rounders, largest * share, rooms) for share in OCTAVE]
        found, _ = min(tried, key=lambda t: t[1])
        yield found


def _rounders(state: QuantizerState, inputs: Inputs, real: RealCell) -> Rounders:
    found: Rounders = {}
    for i, wire in enumerate(inputs.wires):
        if not weighted(wire):
            continue
        w = real.weights[i]
        out, features = len(w), w[0].size
        solve = (len(OCTAVE) * len(HEADROOMS) * out + features) * features**2
        x = _inputs(state, inputs, wire, int(FLOPS * state.options.effort / (1 + features**2)))
        rows = x.shape[2] * x.shape[3]
        if solve > 4 * FLOPS * state.options.effort or rows < ROWS_PER_WEIGHT * features:
            continue
        for keep in (real.keep_i, real.keep_v):
            x = filtered(x, keep)
        parts = w.reshape(len(x), out // len(x), features)
        found[i] = [Rounder.of(p, r.reshape(features, -1).T) for p, r in zip(parts, x, strict=True)]
    return found


def _inputs(state: QuantizerState, inputs: Inputs, wire: Wire, most: int) -> FloatArray:
    """[groups, F, L, T] of what the wire's weights meet: its own spikes are the float model's."""
    assert state.lead is not None
    sent: NDArray[np.generic]
    if wire.source == inputs.node.name:
        own = state.target(wire.source)
        assert own is not None
        sent = np.concatenate([np.zeros_like(own[:, :1]), own[:, :-1]], axis=1)
    else:
        sent = array(state.sent[wire.source])
    lanes = draw(wire, sent, max(min(lane_count(wire, state.lead[0]), most), 1))
    return lanes.x.astype(np.float64)


def _at(
    state: QuantizerState,
    inputs: Inputs,
    real: RealCell,
    rounders: Rounders,
    gain: float,
    rooms: range,
) -> tuple[RealCell, float]:
    """The weights at one gain, and what rounding leaves."""
    bits = state.bits_of(inputs.node)
    shared = shared_headroom(real.weights, gain, bits)
    rounded: list[FloatArray | None] = []
    lost = 0.0
    for i, w in enumerate(real.weights):
        if i not in rounders:
            rounded.append(None)
            continue
        own, grid = gain * 2.0 ** shared[i], grid_of(w, bits)
        made = [r.with_headrooms(own, rooms, MOST_EXPONENTS, grid) for r in rounders[i]]
        q = np.concatenate([r.q for r, _ in made])
        headroom: IntArray = np.concatenate([h for _, h in made])
        rounded.append((q / (own * 2.0 ** headroom[:, None])).reshape(w.shape))
        lost += sum(float(r.loss.sum()) for r, _ in made)
    return replace(real, rounded=tuple(rounded), gain=gain), lost
