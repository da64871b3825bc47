"""Conv2d: Lava's Conv where that is exact and quicker, else a sparse matrix."""

from __future__ import annotations

import numpy as np

from ....toolchain.ground.arithmetic import LOIHI
from ....toolchain.ir.program import Conv2d, Population, Projection
from ..rules import ConnectionRule, Kind, as_matrix, matrix_bytes

MAX_INT8 = 127
"""Conv stores groups, kernel size, stride, padding and dilation as int8 and wraps silently."""
CONV_SYNAPSES = 1000
"""Synapses per (out channel, in channel) pair from which Conv is quicker than Sparse.

Measured: a pair costs Conv 5 to 10 us per step (Lava loops over pairs in Python); a synapse costs
Sparse 0.35 us once (its matrix) and 2.5 ns per step. Over about 50 steps they are equal here.
"""


def choose(projection: Projection, pre: Population) -> Kind:
    """Conv has no delay, and takes less time than a matrix only if many synapses share a kernel."""
    if conv_can(projection) and not (
        sparse_is_equal(projection, pre) and sparse_is_faster(projection)
    ):
        return "Conv"
    return as_matrix(projection, pre)


def stored(c: Conv2d, kind: Kind) -> int:
    """int64, once if it stays a kernel."""
    return int(c.weight.size) * 8 if kind == "Conv" else matrix_bytes(c, kind)


def conv_can(projection: Projection) -> bool:
    """True if Lava's Conv takes this projection.

    Conv has no delay and no exponent (a non-negative one moves into the weights), and stores its
    sizes as int8.
    """
    c = projection.connection
    assert isinstance(c, Conv2d)
    if projection.pre_view is not None or projection.post_view is not None:
        return False
    sizes = (c.groups, *c.weight.shape[2:], *c.stride, *c.padding, *c.dilation)
    return projection.delay == 1 and projection.weight_exp >= 0 and max(sizes) <= MAX_INT8


def sparse_is_equal(projection: Projection, pre: Population) -> bool:
    """True if a Sparse gives the same values as a Conv, so that either may be used.

    Sparse clips and truncates weights, Conv wraps sums at 24 bits. Neither happens in a legal
    Program; a changed one, made to see a difference, may do it, and then Conv is the rule.
    """
    c = projection.connection
    assert isinstance(c, Conv2d)
    if not np.array_equal(LOIHI.effective_weights(c.weight), c.weight):
        return False
    payload = max(abs(pre.low), abs(pre.high))
    bound = int(np.abs(c.weight).sum(axis=(1, 2, 3)).max(initial=0)) * payload
    return bound << projection.weight_exp < LOIHI.state_limit


def sparse_is_faster(projection: Projection) -> bool:
    """True if few synapses share each kernel: then Conv's Python loops cost more than they save."""
    c = projection.connection
    assert isinstance(c, Conv2d)
    return int(np.prod(c.weight.shape[2:] + c.out_shape[1:])) < CONV_SYNAPSES


RULE = ConnectionRule(choose, stored)
