"""What a population sent, in the layouts that its readers want."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..kernels import conv as conv_kernels
from ..layout import C_ORDER, Layout, Packing, Values, arranged


@dataclass(frozen=True, eq=False)
class Lists:
    """Inputs that are not silent, two channels at a time (`conv_kernels.list_pairs`)."""

    index: Values
    value: Values
    ends: Values


class Sent:
    """values [B, S, size], the neurons held as `layout` says."""

    def __init__(self, values: Values, layout: Layout) -> None:
        self.values, self.layout = values, layout
        self._last: dict[int, Values] = {}
        self._lists: dict[tuple[int, Packing], Lists] = {}

    @property
    def lead(self) -> tuple[int, int]:
        """Lanes B and steps S."""
        return self.values.shape[0], self.values.shape[1]

    def arranged(self, layout: Layout) -> Values:
        """[B, S, size] in this layout."""
        return arranged(self.values, self.layout, layout)

    @cached_property
    def flat(self) -> Values:
        """[B, S, size] in C order."""
        return self.arranged(C_ORDER)

    def last(self, channels: int) -> Values:
        """[B*S, positions, channels]: the first axis of the shape last."""
        if channels not in self._last:
            values = self.arranged(Layout(channels))
            self._last[channels] = values.reshape(values.shape[0] * values.shape[1], -1, channels)
        return self._last[channels]

    def lists(self, channels: int, packing: Packing) -> Lists:
        """The inputs that are not silent, by position [B*S*positions].

        They must fit: 0..127 for bytes, 16 bits for words.
        """
        if (channels, packing) not in self._lists:
            rows = self.last(channels).reshape(-1, channels)
            self._lists[channels, packing] = _lists(rows, packing)
        return self._lists[channels, packing]

    @cached_property
    def active_steps(self) -> Values:
        """Steps [S] at which something was sent in some lane."""
        out: Values = self.values.any(axis=(0, 2))
        return out

    @cached_property
    def any(self) -> bool:
        """True if something was sent."""
        return bool(self.values.any())


def _lists(rows: Values, packing: Packing) -> Lists:
    pairs = packing.pairs(rows.shape[1])
    if rows.shape[1] % (2 * pairs):
        rows = np.pad(rows, ((0, 0), (0, 2 * pairs - rows.shape[1])))
    small = rows.astype(packing.number, copy=False)
    whole = np.ascontiguousarray(small).view(np.uint64)
    shape = len(whole), pairs
    lists = Lists(
        _readable(shape, np.uint16),
        _readable(shape, packing.pair),
        np.empty((len(whole), 1 + -(-pairs // conv_kernels.CHUNK)), np.int64),
    )
    conv_kernels.list_pairs(whole, lists.index, lists.value, lists.ends)
    return lists


def _readable(shape: tuple[int, int], kind: Any) -> Values:
    """Memory after whose end 16 more entries can be read."""
    size = shape[0] * shape[1]
    return np.empty(size + 16, kind)[:size].reshape(shape)
