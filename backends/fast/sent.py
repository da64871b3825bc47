"""What a population sent, in the order that its readers want."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sfx.backends.fast import conv_kernels

Values = NDArray[Any]
"""Integers of any width."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Inputs that are not silent, two channels at a time (`conv_kernels.list_pairs`).

    largest  of the inputs
    """

    index: Values
    value: Values
    count: Values
    largest: int


class Sent:
    """values [B, S, size]: neurons in C order if channels = 0, else [positions, channels]."""

    def __init__(self, values: Values, channels: int) -> None:
        self.values, self.channels = values, channels
        self._last: dict[int, Values] = {}
        self._pairs: dict[int, Pairs] = {}

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

    def pairs(self, channels: int) -> Pairs:
        """The inputs 0..127 that are not silent, by position [B*S*positions]."""
        if channels not in self._pairs:
            self._pairs[channels] = _pairs(self.last(channels).reshape(-1, channels))
        return self._pairs[channels]

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


def _pairs(rows: Values) -> Pairs:
    if rows.shape[1] % 2:
        rows = np.pad(rows, ((0, 0), (0, 1)))
    whole = np.ascontiguousarray(rows.astype(np.int8, copy=False)).view(np.uint16)
    shape = (len(whole), whole.shape[1] + 1)
    pairs = Pairs(
        np.empty(shape, np.uint16),
        np.empty(shape, np.uint16),
        np.empty(len(whole), np.int64),
        int(rows.max(initial=0)),
    )
    conv_kernels.list_pairs(whole, pairs.index, pairs.value, pairs.count)
    return pairs
