"""Convolutions and linear layers by the inputs that are not silent, channels last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfx.backends.fast import conv_kernels
from sfx.backends.fast.multiply_add import TILE
from sfx.backends.fast.sent import Sent, Values
from sfx.toolchain.arith import IntArray
from sfx.toolchain.ir.program import Connection, Conv2d, Dense

BYTE = 127
"""Largest input of the pair kernel, so that a pair of products fits into 16 bits."""
FULL = 32767
"""Largest sum in 16 bits."""
LEAST = 4
"""Entries that must be summable in 16 bits, or the detour over 32 bits costs too much."""


@dataclass(frozen=True, eq=False)
class PairConv:
    """A convolution whose weights, common low bits dropped, fit a byte.

    largest  sum of the sizes of two weights that meet the same pair of inputs
    """

    inputs: int
    outputs: int
    positions: int
    place: NDArray[np.int32]
    weight: NDArray[np.int8]
    largest: int
    shift: int

    def add(self, sent: Sent, out: Values, fresh: bool) -> None:
        """out [N, Q, O] int32 += (= if fresh) what `sent` brings."""
        p = sent.pairs(self.inputs)
        most = FULL // (p.largest * self.largest) if p.largest else FULL
        conv_kernels.convolve(
            p.index, p.value, p.count, self.place, self.weight, most, self.shift, fresh, out
        )


@dataclass(frozen=True, eq=False)
class ChannelConv:
    """One kernel per channel, such as pooling."""

    inputs: int
    outputs: int
    positions: int
    place: NDArray[np.int32]
    weight: NDArray[np.int32]
    shift: int

    def add(self, sent: Sent, out: Values, fresh: bool) -> None:
        """out [N, Q, C] int32 += (= if fresh) what `sent` brings."""
        values = sent.last(self.inputs)
        conv_kernels.convolve_channels(values, self.place, self.weight, self.shift, fresh, out)


Channels = PairConv | ChannelConv


def channels_last(
    connection: Connection, weight: IntArray, shift: int, low: int, high: int
) -> Channels | None:
    """The convolution of inputs low..high with these effective weights; None if none fits.

    The caller has proved that no partial sum, shifted left, leaves 32 bits.
    """
    if isinstance(connection, Dense):
        outputs, inputs = connection.weight.shape
        connection = Conv2d(weight[:, :, None, None], (inputs, 1, 1), (outputs, 1, 1))
        weight = connection.weight
    if not isinstance(connection, Conv2d) or not weight.any():
        return None
    c = connection
    place = _gather(c)
    if c.groups == c.in_shape[0] == c.out_shape[0] > 1:
        taps = np.ascontiguousarray(weight.reshape(c.groups, -1).T.astype(np.int32))
        return ChannelConv(c.groups, c.groups, len(place), place, taps, shift)
    if c.groups != 1 or low < 0 or high > BYTE:
        return None
    zeros = _common_zeros(weight)
    small = weight >> zeros
    pairs = (c.in_shape[0] + 1) // 2
    if small.min() < -128 or small.max() > 127 or pairs * place.shape[1] >= 1 << 16:
        return None
    tiles = _tiles(small, pairs)
    largest = int(np.abs(tiles.astype(np.int16)).sum(axis=-1).max())
    if FULL // (high * largest) < LEAST:
        return None
    return PairConv(c.in_shape[0], c.out_shape[0], len(place), place, tiles, largest, shift + zeros)


def _common_zeros(weight: IntArray) -> int:
    """Low bits that are 0 in every weight (not all weights are 0)."""
    bits = int(np.bitwise_or.reduce(np.abs(weight), axis=None))
    return (bits & -bits).bit_length() - 1


def _tiles(weight: IntArray, pairs: int) -> NDArray[np.int8]:
    """weight [O, I, kh, kw] -> [tiles, taps*pairs, TILE, 2], zeros where there is no channel."""
    outputs, inputs, kh, kw = weight.shape
    tiles = -(-outputs // TILE)
    padded = np.zeros((tiles * TILE, pairs * 2, kh * kw), dtype=np.int8)
    padded[:outputs, :inputs] = weight.reshape(outputs, inputs, kh * kw)
    shaped = padded.reshape(tiles, TILE, pairs, 2, kh * kw).transpose(0, 4, 2, 1, 3)
    return np.ascontiguousarray(shaped).reshape(tiles, kh * kw * pairs, TILE, 2)


def _gather(c: Conv2d) -> NDArray[np.int32]:
    """[output positions, kernel positions]: the input position seen there, or -1 for padding."""
    _, height, width = c.in_shape
    _, out_h, out_w = c.out_shape
    kh, kw = c.weight.shape[2:]
    y = np.arange(out_h)[:, None] * c.stride[0] + np.arange(kh) * c.dilation[0] - c.padding[0]
    x = np.arange(out_w)[:, None] * c.stride[1] + np.arange(kw) * c.dilation[1] - c.padding[1]
    inside = ((y >= 0) & (y < height))[:, None, :, None] & ((x >= 0) & (x < width))[
        None, :, None, :
    ]
    at = y[:, None, :, None] * width + x[None, :, None, :]
    return np.where(inside, at, -1).reshape(out_h * out_w, kh * kw).astype(np.int32)
