"""How arrays are held: the order of a population's neurons, and pairs of inputs in one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[Any]
"""Integers of any width."""


@dataclass(frozen=True)
class Layout:
    """In which order the neurons of a population lie in memory.

    channels  0: the C order of the population's shape. Else the length of the first axis, which
              comes last then: [positions, channels], as convolutions want it
    """

    channels: int = 0

    @property
    def c_order(self) -> bool:
        """True for the C order of the shape."""
        return self.channels == 0


C_ORDER = Layout()


def arranged(values: Values, held: Layout, wanted: Layout) -> Values:
    """values [..., size], held in one layout, in another; no copy where both are the same.

    One channel, or as many as there are neurons, is one position or one channel: C order as well.
    """
    if held is wanted or held.channels == wanted.channels:
        return values
    if wanted.channels in (1, values.shape[-1]) and held.channels in (0, 1):
        return values
    head = values.shape[:-1]
    if held.channels > 0:
        values = values.reshape(*head, -1, held.channels).swapaxes(-1, -2)
        values = np.ascontiguousarray(values).reshape(*head, -1)
    if wanted.channels > 0:
        values = values.reshape(*head, wanted.channels, -1).swapaxes(-1, -2)
        values = np.ascontiguousarray(values).reshape(*head, -1)
    return values


@dataclass(frozen=True, eq=False)
class Packing:
    """Of what size the inputs, weights and sums of a convolution's kernel are.

    number       of an input and of a weight;  pair  of two inputs side by side
    largest_sum  that a kernel adds up before it moves on to 32 bits
    """

    number: type[np.signedinteger[Any]]
    pair: type[np.unsignedinteger[Any]]
    largest_sum: int

    @property
    def pairs_per_word(self) -> int:
        """Pairs in a word of 64 bits: silence is looked for word by word."""
        return 8 // np.dtype(self.pair).itemsize

    def pairs(self, channels: int) -> int:
        """Pairs of channels in whole words of 64 bits."""
        per = self.pairs_per_word
        return -(-channels // (2 * per)) * per


BYTES = Packing(np.int8, np.uint16, 2**15 - 1)
WORDS = Packing(np.int16, np.uint32, 2**31 - 1)
