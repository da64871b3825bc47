"""How far the states of a neuron went on the calibration data: the ranges that bounds give up on.

A worst case adds up every weight at every step. Over many steps, or many inputs, no register holds
it, and no data come near it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....ir.connections import matrix
from ....ir.graph import FloatArray
from ..fit.real import RealCell
from ..state.quantizer_state import Inputs, QuantizerState, real_drive, with_weights

Ends = tuple[float, float]
"""Least and greatest value."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What states may reach, in units of v: what was seen, and `margin` percent more.

    x       what arrives from outside, with the constant that goes the same way
    i, v    the current, and the membrane before its reset
    spikes  that the neurons send then [K, T, n]
    before  the membrane before its reset at every step [K, T, n]
    """

    x: Ends
    i: Ends
    v: Ends
    margin: int
    spikes: NDArray[np.uint8]
    before: NDArray[np.float32]


def seen(state: QuantizerState, inputs: Inputs, real: RealCell) -> Seen:
    """On what the sources really send, with the weights as they are before rounding."""
    mine = [w.source == inputs.node.name for w in inputs.wires]
    constant = real.bias_i if real.keep_i else real.bias_i + real.bias_v
    x = state.zeros(inputs.node) + constant
    for k, w in enumerate(real.weights):
        if not mine[k]:
            x = x + real_drive(state, inputs, k, w)
    own = [
        matrix(with_weights(inputs.bare[k], inputs.wires[k], w, 0), x.shape[2], x.shape[2])
        for k, w in enumerate(real.weights)
        if mine[k]
    ]
    fired, before = np.zeros(x.shape, np.uint8), np.zeros(x.shape, np.float32)
    i, v, spikes = (np.zeros_like(x[:, 0]) for _ in range(3))
    reached = {"x": _ends(x), "i": (0.0, 0.0), "v": (0.0, 0.0)}
    for t in range(x.shape[1]):
        i = real.keep_i * i + x[:, t]
        for m in own:
            i = i + np.asarray((m @ spikes.T).T)
        v = real.keep_v * (v - real.drop * spikes) + i + (real.bias_v if real.keep_i else 0.0)
        v = v + (real.first if t == 0 else 0.0)
        spikes = (v >= real.threshold if real.reached else v > real.threshold).astype(np.float64)
        fired[:, t], before[:, t] = spikes, v
        reached |= {"i": _both(reached["i"], _ends(i)), "v": _both(reached["v"], _ends(v))}
    margin = state.options.range_margin
    x_ends, i_ends, v_ends = (_widened(e, margin, real.threshold) for e in reached.values())
    return Seen(x_ends, i_ends, v_ends, margin, fired, before)


def _ends(values: FloatArray) -> Ends:
    return float(values.min(initial=0)), float(values.max(initial=0))


def _both(a: Ends, b: Ends) -> Ends:
    return min(a[0], b[0]), max(a[1], b[1])


def _widened(ends: Ends, margin: int, threshold: float) -> Ends:
    """Each side by its own share, but a neuron that came near nothing may still fire."""
    low, high = min(ends[0], -threshold), max(ends[1], threshold)
    return low * (1 + margin / 100), high * (1 + margin / 100)
