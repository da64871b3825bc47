"""What a population sent, in the order that its readers want."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import conv as conv_kernels

Values = NDArray[Any]
"""Integers of any width."""


@dataclass(frozen=True, eq=False)
class Lists:
    """Inputs that are not silent, two channels at a time (`conv_kernels.list_pairs`)."""

    index: Values
    value: Values
    ends: Values


class Sent:
    """values [B, S, size]: neurons in C order if channels = 0, else [positions, channels]."""

    def __init__(self, values: Values, channels: int) -> None:
        self.values, self.channels = values, channels
        self._last: dict[int, Values] = {}
        self._lists: dict[tuple[int, bool], Lists] = {}

    @property
    def lead(self) -> tuple[int, int]:
        """Lanes B and steps S."""
        return self.values.shape[0], self.values.shape[1]

    @cached_property
    def flat(self) -> Values:
        """[B, S, size] in C order."""
        return in_order(self.values, self.channels, 0)

    def last(self, channels: int) -> Values:
        """[B*S, positions, channels]: the first axis of the shape last."""
        if channels not in self._last:
            values = in_order(self.values, self.channels, channels)
            self._last[channels] = values.reshape(values.shape[0] * values.shape[1], -1, channels)
        return self._last[channels]

    def lists(self, channels: int, words: bool) -> Lists:
        """The inputs that are not silent, by position [B*S*positions].

        They must fit 16 bits if `words`, else 0..127.
        """
        if (channels, words) not in self._lists:
            rows = self.last(channels).reshape(-1, channels)
            self._lists[channels, words] = _lists(rows, words)
        return self._lists[channels, words]

    @cached_property
    def speaks(self) -> Values:
        """Steps [S] at which something was sent in some lane."""
        out: Values = self.values.any(axis=(0, 2))
        return out

    @cached_property
    def any(self) -> bool:
        """True if something was sent."""
        return bool(self.values.any())


def in_order(values: Values, channels: int, wanted: int) -> Values:
    """values [..., size], `channels` of the first axis last (0: C order), as `wanted` says."""
    if channels == wanted or (wanted in (1, values.shape[-1]) and channels in (0, 1)):
        return values
    head = values.shape[:-1]
    if channels > 0:
        values = values.reshape(*head, -1, channels).swapaxes(-1, -2)
        values = np.ascontiguousarray(values).reshape(*head, -1)
    if wanted > 0:
        values = values.reshape(*head, wanted, -1).swapaxes(-1, -2)
        values = np.ascontiguousarray(values).reshape(*head, -1)
    return values


def padded_pairs(channels: int, words: bool) -> int:
    """Pairs of channels in whole words of 64 bits."""
    per = 2 if words else 4
    return -(-channels // (2 * per)) * per


def _lists(rows: Values, words: bool) -> Lists:
    pairs = padded_pairs(rows.shape[1], words)
    if rows.shape[1] % (2 * pairs):
        rows = np.pad(rows, ((0, 0), (0, 2 * pairs - rows.shape[1])))
    small = rows.astype(np.int16 if words else np.int8, copy=False)
    whole = np.ascontiguousarray(small).view(np.uint64)
    shape = len(whole), pairs
    lists = Lists(
        _readable(shape, np.uint16),
        _readable(shape, np.uint32 if words else np.uint16),
        np.empty((len(whole), 1 + -(-pairs // conv_kernels.CHUNK)), np.int64),
    )
    conv_kernels.list_pairs(whole, lists.index, lists.value, lists.ends)
    return lists


def _readable(shape: tuple[int, int], kind: Any) -> Values:
    """Memory after whose end 16 more entries can be read."""
    size = shape[0] * shape[1]
    return np.empty(size + 16, kind)[:size].reshape(shape)
