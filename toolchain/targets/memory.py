"""How many words of synaptic memory synapses take.

A target without `synapse_index_bits` (Loihi 1) stores the weights of an axon side by side behind
one header word. Loihi 2 has lists, as tables of Intel's compiler show (docs/validation.md): each
synapse has its weight and the index of its neuron, 12 bits; a list has a header and begins at a
word. A kernel is one list of weights without indices for each place of the window and each input
channel; its channels are taken apart into powers of two (48 = 32 + 16), each with a header and
words of its own. These lists are shared: one copy per core. A weight takes the bits that its
projection's mantissas have, where the target stores fewer than `weight_bits`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from ..ground.arith import IntArray, sign_mode
from ..ir.connection_kinds.base import Kernel, Storage
from ..ir.program import Projection
from .target import Limits

Number = TypeVar("Number", int, IntArray)

HEADER_WORDS = 1
LIST_HEADER_BITS = 10
"""Of a list. 1 to 12 give the words of every row of the logs whose shape is known; Loihi 1's lists
have 10 (NengoLoihi: 4 of format, 6 of length)."""
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
    if bits == 7 and limits.lists:  # the logs store it in 8, as Loihi 1 does
        bits = 8
    return min(max(bits, least), limits.weight_bits)


def row_words(weights: Number, bits: int, limits: Limits) -> Number:
    """Words of `weights` weights of `bits` each side by side: ceil(n * bits / word_bits)."""
    return -(-weights * bits // limits.word_bits)


def list_words(synapses: Number, bits: int, limits: Limits) -> Number:
    """Words of a list of so many synapses of `bits` each, header and indices included.

    ceil((n * bits + LIST_HEADER_BITS) / word_bits); none for an empty list.
    """
    words = -(-(synapses * bits + LIST_HEADER_BITS) // limits.word_bits)
    return words * (synapses > 0)


def dense_axon_words(neurons: Number, bits: int, limits: Limits) -> Number:
    """Words of one axon onto `neurons` neurons, stored densely."""
    if limits.lists:
        return list_words(neurons, bits + limits.synapse_index_bits, limits)
    return HEADER_WORDS + row_words(neurons, bits, limits)


def sparse_axon_words(synapses: IntArray, neurons: int, bits: int, limits: Limits) -> IntArray:
    """Words of axons with `synapses` synapses each onto a core of `neurons` neurons.

    Each synapse holds its weight and the index of its neuron: `synapse_index_bits`, or where the
    target has none ceil(log2(neurons)).
    """
    if limits.lists:
        return list_words(synapses, bits + limits.synapse_index_bits, limits)
    index_bits = max(1, (neurons - 1).bit_length())
    row = synapses * (bits + index_bits)
    words: IntArray = HEADER_WORDS + np.ceil(row / limits.word_bits).astype(np.int64)
    return words


def kernel_words(kernel: Kernel, channels: IntArray, bits: int, limits: Limits) -> IntArray:
    """Words of a kernel on a core that holds `channels` [n] of its out channels, neighbours.

    A list has the channels of one group; as `_groups` says, at most so many words.
    """
    if not limits.lists:
        return row_words(channels * kernel.weights, bits, limits)
    groups, each = _groups(kernel, channels)
    words: IntArray = kernel.weights * groups * channel_words(each, bits, limits)
    return words


def _groups(kernel: Kernel, channels: IntArray) -> tuple[IntArray, IntArray]:
    """Groups of a kernel that `channels` [n] neighbours lie in, and channels of each, at most.

    Exact for one group, for groups of one channel, and for all channels.
    """
    size = kernel.channels // kernel.groups
    touched = np.minimum((channels + size - 2) // size + 1, kernel.groups)
    return touched, np.minimum(channels, size)


def channel_words(channels: IntArray, bits: int, limits: Limits) -> IntArray:
    """Words of one list of a kernel: a part for each power of two in `channels` [n]."""
    words = np.zeros_like(channels)
    for power in _powers(channels):
        words += list_words(channels & power, bits, limits)
    return words


def kernel_axons(kernel: Kernel, channels: IntArray) -> IntArray:
    """Axons in of a kernel on a core that holds `channels` [n] of its out channels, neighbours."""
    groups, each = _groups(kernel, channels)
    count: IntArray = groups * list_parts(each)
    return count


def list_parts(channels: IntArray) -> IntArray:
    """Parts of lists of so many channels [n], each of which is an axon.

    From the logs: 2 for 24, 36 and 48 channels, 1 for 16 to 256 that are powers of two; and 1 for
    the 3 channels of PilotNet's input, so that parts are taken to have four at least.
    """
    rounded, count = -(-channels // 4) * 4, np.zeros_like(channels)
    for power in _powers(rounded):
        count += rounded & power > 0
    return count


def map_entries(places: IntArray, channels: IntArray) -> IntArray:
    """Axon map entries by which `channels` [n] of each of `places` [n] drive a kernel.

    From the logs: one for each place and part of the channels (3072 neurons, 24 channels: 256).
    """
    entries: IntArray = np.minimum(places * channels, places * list_parts(channels))
    return entries


def _powers(channels: IntArray) -> list[int]:
    return [1 << i for i in range(int(channels.max(initial=0)).bit_length())]
