"""Which pre neurons drive given post neurons, and with how many synapses each.

The question of mapping and of the cost model. Answered from the structure of a connection, for
some post neurons at a time, so that a million neurons need no matrix. Equal to the columns of
`connections.matrix` restricted to those rows (nonzero weights only).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ..ground.arith import IntArray
from .connections import permutation
from .program import Connection, Conv2d, Dense, Projection, Sparse, Structured

Fans = tuple[IntArray, IntArray]
"""Distinct pre neurons (in no fixed order) and the number of synapses of each, >= 1."""


class FanIn:
    """The synapses of one projection, seen from its post neurons."""

    def __init__(self, projection: Projection, pre_size: int, post_size: int) -> None:
        self._into = _reader(projection.connection, pre_size)
        self._pre = None
        self._post = None
        if projection.pre_view is not None:
            self._pre = permutation(projection.pre_view, pre_size)
        if projection.post_view is not None:
            self._post = permutation(projection.post_view, post_size)

    def into(self, post: IntArray) -> Fans:
        """The pre neurons that drive the distinct neurons `post`, and their synapses onto them."""
        pre, synapses = self._into(post if self._post is None else self._post[post])
        return (pre if self._pre is None else self._pre[pre]), synapses


@singledispatch
def _reader(connection: Connection, pre_size: int) -> Callable[[IntArray], Fans]:
    raise TypeError(f"no fan-in for {type(connection).__name__}")


def _nonzero(counts: NDArray[np.generic]) -> Fans:
    pre = np.flatnonzero(counts)
    return pre, counts[pre].astype(np.int64)


@_reader.register
def _dense(c: Dense, pre_size: int) -> Callable[[IntArray], Fans]:
    present = c.weight != 0
    return lambda post: _nonzero(present[post].sum(axis=0))


@_reader.register
def _sparse(c: Sparse, pre_size: int) -> Callable[[IntArray], Fans]:
    rows = len(c.indptr) - 1
    present = sparse.csr_matrix(((c.data != 0), c.indices, c.indptr), shape=(rows, pre_size))
    present.eliminate_zeros()
    return lambda post: _nonzero(np.bincount(present[post].indices, minlength=pre_size))


@_reader.register
def _structured(c: Structured, pre_size: int) -> Callable[[IntArray], Fans]:
    post_shape = tuple(n for _, n in c.post)
    post_labels = [label for label, _ in c.post]
    strides = _strides(c.pre)
    shared = [label for label in post_labels if label in strides]
    shared_shape = tuple(dict(c.post)[label] for label in shared)
    offsets = np.zeros(1, dtype=np.int64)
    for label, length in c.pre:
        if label not in shared:
            steps = np.arange(length, dtype=np.int64) * strides[label]
            offsets = (offsets[:, None] + steps).ravel()

    def into(post: IntArray) -> Fans:
        if not c.weight or not post.size:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        at = dict(zip(post_labels, np.unravel_index(post, post_shape or (1,)), strict=False))
        if not shared:
            return offsets, np.full(offsets.size, post.size, dtype=np.int64)
        key = np.ravel_multi_index(tuple(at[label] for label in shared), shared_shape)
        keys, counts = np.unique(key, return_counts=True)
        places = zip(shared, np.unravel_index(keys, shared_shape), strict=True)
        base = sum((place * strides[label] for label, place in places), np.zeros_like(keys))
        pre = (base[:, None] + offsets).ravel()
        return pre, np.repeat(counts, offsets.size).astype(np.int64)

    return into


def _strides(axes: tuple[tuple[str, int], ...]) -> dict[str, int]:
    out: dict[str, int] = {}
    step = 1
    for label, length in reversed(axes):
        out[label] = step
        step *= length
    return out


@_reader.register
def _conv2d(c: Conv2d, pre_size: int) -> Callable[[IntArray], Fans]:
    present = c.weight != 0
    out_pixels = c.out_shape[1] * c.out_shape[2]
    last: dict[bytes, IntArray] = {}  # tiles of one population share their channels

    def counts(channels: IntArray) -> IntArray:
        key = channels.tobytes()
        if key not in last:
            last.clear()
            last[key] = _kernel_counts(c, present, channels)
        return last[key]

    def into(post: IntArray) -> Fans:
        channel, pixel = np.divmod(post, out_pixels)
        field = np.zeros((c.in_shape[1] * c.in_shape[2], c.in_shape[0]), dtype=np.int64)
        for channels, pixels in _same_pixels(channel, pixel):
            field += _windows(c, pixels) @ counts(channels).T
        return _nonzero(field.T.ravel())

    return into


def _same_pixels(channel: IntArray, pixel: IntArray) -> list[tuple[IntArray, IntArray]]:
    """(channels, pixels) groups: channels that have exactly the same pixels go together."""
    order = np.lexsort((pixel, channel))
    channel, pixel = channel[order], pixel[order]
    channels, starts = np.unique(channel, return_index=True)
    groups: dict[bytes, tuple[list[int], IntArray]] = {}
    for o, pixels in zip(channels.tolist(), np.split(pixel, starts[1:]), strict=True):
        groups.setdefault(pixels.tobytes(), ([], pixels))[0].append(o)
    return [(np.array(members, dtype=np.int64), pixels) for members, pixels in groups.values()]


def _kernel_counts(c: Conv2d, present: NDArray[np.bool_], channels: IntArray) -> IntArray:
    """[in channels, kernel entries]: how many of the out channels have a weight there."""
    out_per_group, in_per_group = c.weight.shape[0] // c.groups, c.weight.shape[1]
    entries = present.shape[2] * present.shape[3]
    if c.groups == 1:
        together: IntArray = present[channels].sum(axis=0, dtype=np.int64)
        return together.reshape(-1, entries)
    counts = np.zeros((c.groups, in_per_group, entries), dtype=np.int64)
    group = channels // out_per_group
    np.add.at(counts, group, present[channels].reshape(len(channels), in_per_group, entries))
    return counts.reshape(-1, entries)


def _windows(c: Conv2d, pixels: IntArray) -> sparse.csr_matrix:
    """[in pixels, kernel entries]: 1 where an out pixel meets the in pixel through that entry."""
    kh, kw = c.weight.shape[2:]
    _, height, width = c.in_shape
    a, b = np.divmod(np.arange(kh * kw, dtype=np.int64), kw)
    y, x = np.divmod(pixels[:, None], c.out_shape[2])
    row = y * c.stride[0] - c.padding[0] + a * c.dilation[0]
    col = x * c.stride[1] - c.padding[1] + b * c.dilation[1]
    inside = (row >= 0) & (row < height) & (col >= 0) & (col < width)
    _, entry = np.nonzero(inside)
    at = (row[inside] * width + col[inside], entry)
    ones = np.ones(entry.size, dtype=np.int64)
    return sparse.csr_matrix((ones, at), shape=(height * width, kh * kw))
