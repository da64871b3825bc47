"""Which of Lava's connection processes a projection becomes, without importing Lava.

Dense stays Dense. Everything else is a sparse matrix, except where Lava's Conv is exact and
needs less time than the matrix would. A delay of d steps is 1 step of any connection process
plus d - 1 of a Delay one.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...toolchain.ground.arith import STATE_LIMIT, effective_weights
from ...toolchain.ground.errors import BackendError
from ...toolchain.ir.program import Conv2d, Dense, Population, Projection

Kind = Literal["Dense", "DelayDense", "Sparse", "DelaySparse", "Conv"]

MAX_DELAY = 64
"""Lava takes delays 0..63 and adds the step of the connection itself."""
MAX_INT8 = 127
"""Conv stores groups, kernel size, stride, padding and dilation as int8 and wraps silently."""
CONV_SYNAPSES = 1000
"""Synapses per (out channel, in channel) pair from which Conv is quicker than Sparse.

Measured: a pair costs Conv 5 to 10 us per step (Lava loops over pairs in Python); a synapse costs
Sparse 0.35 us once (its matrix) and 2.5 ns per step. Over about 50 steps they are equal here.
"""


def choose(projection: Projection, pre: Population) -> Kind:
    """The Lava process for a balanced projection.

    Raises BackendError (SFX-E520) if the delay is not in 1..64.
    """
    if not 1 <= projection.delay <= MAX_DELAY:
        raise BackendError(
            "SFX-E520",
            f"delay is {projection.delay}, Lava runs delays of 1 to {MAX_DELAY} steps",
            where=projection.name,
            hint="balance the delays first; longer ones need relay populations",
        )
    late = projection.delay > 1
    if isinstance(projection.connection, Dense) and not _viewed(projection):
        return "DelayDense" if late else "Dense"
    if late:
        return "DelaySparse"
    if conv_can(projection) and not (
        sparse_is_equal(projection, pre) and sparse_is_faster(projection)
    ):
        return "Conv"
    return "Sparse"


def _viewed(projection: Projection) -> bool:
    return projection.pre_view is not None or projection.post_view is not None


def conv_can(projection: Projection) -> bool:
    """True if Lava's Conv takes this projection.

    Conv has no delay and no exponent (a non-negative one moves into the weights), and stores its
    sizes as int8.
    """
    c = projection.connection
    if not isinstance(c, Conv2d) or _viewed(projection):
        return False
    sizes = (c.groups, *c.weight.shape[2:], *c.stride, *c.padding, *c.dilation)
    return projection.delay == 1 and projection.weight_exp >= 0 and max(sizes) <= MAX_INT8


def sparse_is_equal(projection: Projection, pre: Population) -> bool:
    """True if a Sparse gives the same values as a Conv, so that either may be used.

    Sparse clips and truncates weights, Conv wraps sums at 24 bits. Neither happens in a legal
    Program; a changed one, made to see a difference, may do it, and then Conv is the rule.
    """
    c = projection.connection
    if not isinstance(c, Conv2d) or not np.array_equal(effective_weights(c.weight), c.weight):
        return False
    payload = max(abs(pre.low), abs(pre.high))
    bound = int(np.abs(c.weight).sum(axis=(1, 2, 3)).max(initial=0)) * payload
    return bound << projection.weight_exp < STATE_LIMIT


def sparse_is_faster(projection: Projection) -> bool:
    """True if few synapses share each kernel: then Conv's Python loops cost more than they save."""
    c = projection.connection
    if not isinstance(c, Conv2d):
        return True
    return int(np.prod(c.weight.shape[2:] + c.out_shape[1:])) < CONV_SYNAPSES
