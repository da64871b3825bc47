"""How many words of synaptic memory synapses take: the formats of the Lava compiler's log.

An axon is one pre neuron that drives a core. Dense 2560 -> 100 asks 2560 x (1 + 100 x 8 / 32)
words of 32 bits there, so an axon has one header word and a row of weights. Kernels are shared:
one copy per core (the log's conv layers take 81 to 2880 words). A weight takes the bits that its
projection's mantissas have, where the target stores fewer than `weight_bits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from ..ground.arith import IntArray, sign_mode
from ..ir.connection_kinds.base import Storage
from ..ir.program import Projection
from .target import Limits

Number = TypeVar("Number", int, IntArray)

HEADER_WORDS = 1
STRUCTURED_WORDS = HEADER_WORDS + 1
"""A 0/1 pattern of labelled axes: a header and its one weight, however many axons use it."""


SYNOP: Mapping[Storage, str] = {
    "dense": "dense",
    "sparse": "sparse",
    "kernel": "conv",
    "pattern": "conv",
}
"""What a synaptic operation costs by how its synapse is stored (`t_synop_*` of a target).

A 0/1 pattern has one shared weight, like a kernel.
"""


def stored_bits(projection: Projection, limits: Limits) -> int:
    """Bits that one weight of a projection takes: those its mantissas differ in, sign included.

    At least `least_weight_bits` (0: all weights take `weight_bits`). Zero bits that all mantissas
    end in are the exponent's, not the memory's.
    """
    least = limits.least_weight_bits or limits.weight_bits
    if projection.connection.storage == "pattern":
        return limits.weight_bits
    weights = projection.connection.weights
    if least == limits.weight_bits or not weights.size:
        return least
    every = int(np.bitwise_or.reduce(weights, axis=None))
    zeros = (every & -every).bit_length() - 1 if every else 0
    low, high = int(weights.min()) >> zeros, int(weights.max()) >> zeros
    bits = max((-low - 1).bit_length(), high.bit_length()) + 1
    if sign_mode(weights) != "mixed":  # one sign for all, kept once
        bits = max(-low, high).bit_length()
    return min(max(bits, least), limits.weight_bits)


def row_words(weights: Number, bits: int, limits: Limits) -> Number:
    """Words of `weights` weights of `bits` each side by side: ceil(n * bits / word_bits)."""
    return -(-weights * bits // limits.word_bits)


def dense_axon_words(neurons: Number, bits: int, limits: Limits) -> Number:
    """Words of one axon onto `neurons` neurons, stored densely."""
    return HEADER_WORDS + row_words(neurons, bits, limits)


def sparse_axon_words(synapses: IntArray, neurons: int, bits: int, limits: Limits) -> IntArray:
    """Words of axons with `synapses` synapses each onto a core of `neurons` neurons.

    Each synapse holds its weight and the index of its neuron: ceil(log2(neurons)) bits.
    """
    index_bits = max(1, (neurons - 1).bit_length())
    row = synapses * (bits + index_bits)
    words: IntArray = HEADER_WORDS + np.ceil(row / limits.word_bits).astype(np.int64)
    return words
