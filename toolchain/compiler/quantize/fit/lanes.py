"""A sample of what the weights of one wire see on the calibration data.

A lane is one output position of a layer in one sample: all its channels read the same inputs
there. Lanes are drawn at random, always the same ones, so that work does not grow with the net.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....ground.arith import IntArray
from ....ir import graph as g
from ....ir.connections import permutation
from ....ir.wires import Wire


@dataclass(frozen=True, eq=False)
class Lanes:
    """x [groups, F, L, T] inputs of each lane; neuron [O, L] and sample [L]: where its outputs are.

    channel [n]: the channel of each post neuron.
    """

    x: IntArray
    neuron: IntArray
    sample: IntArray
    channel: IntArray

    def of(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values [K, T, n] of the post population at the lanes: [O, L, T]."""
        at: NDArray[Any] = values[self.sample[None, :], :, self.neuron]
        return np.ascontiguousarray(at)


def weighted(wire: Wire) -> bool:
    """True if the wire has weights of its own to round: a Conv2d or Linear of more than one."""
    layer = wire.layer
    return isinstance(layer, g.Conv2d | g.Linear) and layer.weight.size > 1


def lane_count(wire: Wire, samples: int) -> int:
    """Lanes there are in so many samples."""
    assert isinstance(wire.layer, g.Conv2d | g.Linear)
    return samples * int(np.prod(wire.out_shape[1:], dtype=np.int64))


def draw(wire: Wire, sent: NDArray[Any], count: int) -> Lanes:
    """`count` lanes (or all) of a weighted wire whose source sent [K, T, n]."""
    layer = wire.layer
    assert isinstance(layer, g.Conv2d | g.Linear)
    samples, out = len(sent), len(layer.weight)
    positions = lane_count(wire, samples) // samples
    total = samples * positions
    chosen = np.arange(total)
    if count < total:
        chosen = np.sort(np.random.default_rng(0).choice(total, count, replace=False))
    sample, position = np.divmod(chosen, positions)
    size = out * positions
    place = np.empty(size, np.int64)  # post neuron of each output of the connection
    place[permutation(wire.post_view, size)] = np.arange(size)
    channel = np.empty(size, np.int64)
    channel[place] = np.repeat(np.arange(out), positions)
    x = sent if wire.pre_view is None else wire.pre_view.apply(sent, lead=2)
    neuron = place.reshape(out, positions)[:, position]
    return Lanes(_inputs(layer, wire, x, sample, position), neuron, sample, channel)


def _inputs(
    layer: g.Conv2d | g.Linear, wire: Wire, x: NDArray[Any], sample: IntArray, position: IntArray
) -> IntArray:
    """[groups, F, L, T] of the inputs x [K, T, n] that the weights of each lane meet."""
    if isinstance(layer, g.Linear):
        rows = x[sample].transpose(2, 0, 1)[None]
        return np.ascontiguousarray(rows, dtype=np.int32)
    _, per_group, kh, kw = layer.weight.shape
    (sh, sw), (ph, pw), (dh, dw) = layer.stride, layer.padding, layer.dilation
    planes = x.reshape(*x.shape[:2], *wire.in_shape)
    planes = np.pad(planes, ((0, 0), (0, 0), (0, 0), (ph, ph), (pw, pw)))
    span = ((kh - 1) * dh + 1, (kw - 1) * dw + 1)
    view = np.lib.stride_tricks.sliding_window_view(planes, span, axis=(3, 4))  # type: ignore[call-overload]  # axis may be a tuple
    view = view[:, :, :, ::sh, ::sw, ::dh, ::dw]  # [K, T, C, H', W', kh, kw]
    row, column = np.divmod(position, wire.out_shape[2])
    met = view[sample, :, :, row, column]  # [L, T, C, kh, kw]
    met = met.reshape(*met.shape[:2], layer.groups, per_group * kh * kw)
    return np.ascontiguousarray(met.transpose(2, 3, 0, 1), dtype=np.int32)
