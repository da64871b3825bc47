"""How many words of synaptic memory synapses take: the formats of the Lava compiler's log.

An axon is one pre neuron that drives a core. Dense 2560 -> 100 asks 2560 x (1 + 100 x 8 / 32)
words of 32 bits there, so an axon has one header word and a row of weights. Kernels are shared:
one copy per core (the log's conv layers take 81 to 2880 words).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.targets.target import Limits

Number = TypeVar("Number", int, IntArray)

HEADER_WORDS = 1
STRUCTURED_WORDS = HEADER_WORDS + 1
"""A 0/1 pattern of labelled axes: a header and its one weight, however many axons use it."""


def row_words(weights: Number, limits: Limits) -> Number:
    """Words of `weights` weights side by side: ceil(n * weight_bits / word_bits)."""
    return -(-weights * limits.weight_bits // limits.word_bits)


def dense_axon_words(neurons: Number, limits: Limits) -> Number:
    """Words of one axon onto `neurons` neurons, stored densely."""
    return HEADER_WORDS + row_words(neurons, limits)


def sparse_axon_words(synapses: IntArray, neurons: int, limits: Limits) -> IntArray:
    """Words of axons with `synapses` synapses each onto a core of `neurons` neurons.

    Each synapse holds its weight and the index of its neuron: ceil(log2(neurons)) bits.
    """
    index_bits = max(1, (neurons - 1).bit_length())
    bits = synapses * (limits.weight_bits + index_bits)
    words: IntArray = HEADER_WORDS + np.ceil(bits / limits.word_bits).astype(np.int64)
    return words
