"""Which kernel computes a convolution or a linear layer, channels last, and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Conv2d
from ..kernels.conv import CHUNK
from ..kernels.multiply_add import TILE
from ..layout import BYTES, WORDS, Packing

BYTE = 127
"""Largest input of the byte kernel, so that a pair of products fits into 16 bits."""
CACHED = 24 << 10
"""Bytes of weights of a group: they stay in the first-level cache."""
LEAST = 32
"""Pairs in a group of bytes on average, or words, with their longer sums, are quicker."""


@dataclass(frozen=True, eq=False)
class PairConv:
    """A convolution whose weights, common low bits dropped, fit `packing`.

    groups  [G, 4] taps from, to, chunks from, to: no partial sum of a group leaves its type
    """

    inputs: int
    outputs: int
    positions: int
    place: NDArray[np.int32]
    weight: NDArray[Any]
    groups: NDArray[np.int64]
    shift: int
    packing: Packing


@dataclass(frozen=True, eq=False)
class ChannelConv:
    """One kernel per channel, such as pooling."""

    inputs: int
    outputs: int
    positions: int
    place: NDArray[np.int32]
    weight: NDArray[np.int32]
    shift: int


Convolution = PairConv | ChannelConv


def convolution_of(
    c: Conv2d | None, weight: IntArray, shift: int, low: int, high: int
) -> Convolution | None:
    """The convolution of inputs low..high with these effective weights; None if none fits.

    The caller has proved that no partial sum, shifted left, leaves 32 bits.
    """
    if c is None or not weight.any():
        return None
    weight = weight.reshape(c.weight.shape)
    place = _gather(c)
    if c.groups == c.in_shape[0] == c.out_shape[0] > 1:
        taps = np.ascontiguousarray(weight.reshape(c.groups, -1).T.astype(np.int32))
        return ChannelConv(c.groups, c.groups, len(place), place, taps, shift)
    return _by_pairs(c, weight, place, shift, low, high) if c.groups == 1 else None


def _by_pairs(
    c: Conv2d, weight: IntArray, place: NDArray[np.int32], shift: int, low: int, high: int
) -> PairConv | None:
    """With the smallest numbers that fit; None if none does."""
    zeros = _common_zeros(weight)
    small = weight >> zeros
    for packing in (BYTES, WORDS):
        pairs = packing.pairs(c.in_shape[0])
        if not _fits(small, low, high, packing) or pairs * place.shape[1] >= 1 << 16:
            continue
        padded = _padded(small, pairs)
        groups = _groups(padded, low, high, packing)
        if groups is None:
            continue
        if packing is BYTES and pairs * padded.shape[1] < LEAST * (len(groups) - 1):
            continue
        tiles = _tiles(padded, packing.number)
        sizes = c.in_shape[0], c.out_shape[0], len(place)
        return PairConv(*sizes, place, tiles, groups, shift + zeros, packing)
    return None


def _common_zeros(weight: IntArray) -> int:
    """Low bits that are 0 in every weight (not all weights are 0)."""
    bits = int(np.bitwise_or.reduce(np.abs(weight), axis=None))
    return (bits & -bits).bit_length() - 1


def _fits(weight: IntArray, low: int, high: int, packing: Packing) -> bool:
    """True if weights, and inputs low..high, have the size that the kernel takes."""
    size = -np.iinfo(packing.number).min
    least, most = (0, BYTE) if packing is BYTES else (-size, size - 1)
    return bool(-size <= weight.min() and weight.max() < size and least <= low and high <= most)


def _padded(weight: IntArray, pairs: int) -> IntArray:
    """weight [O, I, kh, kw] -> [O, taps, 2 pairs], zeros where there is no channel."""
    outputs, inputs, kh, kw = weight.shape
    padded = np.zeros((outputs, kh * kw, 2 * pairs), dtype=weight.dtype)
    padded[:, :, :inputs] = weight.reshape(outputs, inputs, kh * kw).swapaxes(1, 2)
    return padded


def _groups(padded: IntArray, low: int, high: int, packing: Packing) -> NDArray[np.int64] | None:
    """Whole taps together, as long as sums and cache allow, or parts of a tap; None: impossible."""
    outputs, taps, channels = padded.shape
    chunks, width = -(-channels // (2 * CHUNK)), TILE * np.dtype(packing.pair).itemsize
    starts = np.arange(chunks) * 2 * CHUNK
    most = np.maximum(high * padded, low * padded), np.maximum(-high * padded, -low * padded)
    up, down = (np.add.reduceat(x, starts, axis=2) for x in most)
    bytes_of = np.minimum(CHUNK, channels // 2 - starts // 2) * width
    groups: list[list[int]] = []
    space, sums = 0, np.zeros((2, outputs), np.int64)
    for tap in range(taps):
        whole = np.stack([up[:, tap].sum(axis=1), down[:, tap].sum(axis=1)])
        if groups and bytes_of.sum() <= space and (sums + whole).max() <= packing.largest_sum:
            groups[-1][1] = tap + 1
            space, sums = space - int(bytes_of.sum()), sums + whole
            continue
        space = 0
        for chunk in range(chunks):
            part = np.stack([up[:, tap, chunk], down[:, tap, chunk]])
            if part.max() > packing.largest_sum:
                return None
            if space < bytes_of[chunk] or (sums + part).max() > packing.largest_sum:
                groups.append([tap, tap + 1, chunk, chunk])
                space, sums = CACHED, np.zeros_like(sums)
            groups[-1][3] = chunk + 1
            space, sums = space - int(bytes_of[chunk]), sums + part
        if groups[-1][2] > 0:
            space = 0  # the next tap begins with its first chunk
    return np.array(groups, np.int64)


def _tiles(padded: IntArray, kind: Any) -> NDArray[Any]:
    """[O, taps, 2 pairs] -> [tiles, taps, pairs, TILE, 2]."""
    outputs, taps, channels = padded.shape
    tiles = -(-outputs // TILE)
    whole = np.zeros((tiles * TILE, taps, channels), dtype=kind)
    whole[:outputs] = padded
    shaped = whole.reshape(tiles, TILE, taps * channels // 2, 2).swapaxes(1, 2)
    return np.ascontiguousarray(shaped).reshape(tiles, taps, channels // 2, TILE, 2)


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
