"""One projection -> one of Lava's connection processes."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.proc.conv.process import Conv
from lava.proc.dense.process import DelayDense, Dense
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode
from scipy import sparse

from ...toolchain.ground.arith import sign_mode
from ...toolchain.ir.connections import matrix
from ...toolchain.ir.program import Conv2d, Population, Projection
from .rules import Kind

GRADED_BITS = 24
"""num_message_bits of graded spikes; any number above 0 makes Lava pass payloads unchanged."""

_MODES = {
    "mixed": SignMode.MIXED,
    "excitatory": SignMode.EXCITATORY,
    "inhibitory": SignMode.INHIBITORY,
}


def connection(projection: Projection, kind: Kind, pre: Population, post: Population) -> Any:
    """The Lava process of `projection`, of the kind that `choose` gave."""
    bits = GRADED_BITS if pre.graded else 0
    if kind == "Conv":
        return _conv(projection, bits)
    weights = _weights(projection, kind, pre, post)
    values = weights.data if sparse.issparse(weights) else weights
    options = {
        "weights": weights,
        "weight_exp": projection.weight_exp,
        "num_weight_bits": 8,
        "num_message_bits": bits,
        # never left to Lava, which would look at the values: 0/1 in one net, 0/-1 in the next
        "sign_mode": _MODES[sign_mode(values)],
    }
    extra = projection.delay - 1
    if kind == "DelayDense":
        return DelayDense(**options, delays=np.full(weights.shape, extra, dtype=int))
    if kind == "DelaySparse":
        # one delay per synapse: an int would make Lava fill the whole matrix
        delays = weights.astype(int)
        delays.data[:] = extra
        return DelaySparse(**options, delays=delays, max_delay=extra)
    return Dense(**options) if kind == "Dense" else Sparse(**options)


def _weights(projection: Projection, kind: Kind, pre: Population, post: Population) -> Any:
    if kind in ("Dense", "DelayDense"):
        return projection.connection.weights.astype(np.int32)
    weights = matrix(projection, pre.size, post.size).astype(np.int32)
    weights.eliminate_zeros()
    return weights


def _conv(projection: Projection, bits: int) -> Any:
    """Lava convolves (kernel flipped) with axes (X, Y, C); PyTorch correlates with (C, Y, X)."""
    c = projection.connection
    if not isinstance(c, Conv2d):
        raise TypeError(f"{type(c).__name__} is not a convolution")
    flipped = np.flip(c.weight, axis=(2, 3)).transpose(0, 3, 2, 1) << projection.weight_exp
    channels, height, width = c.in_shape
    return Conv(
        weight=np.ascontiguousarray(flipped, dtype=np.int32),
        input_shape=(width, height, channels),
        padding=c.padding[::-1],
        stride=c.stride[::-1],
        dilation=c.dilation[::-1],
        groups=c.groups,
        num_message_bits=bits,
    )


def connect_in(port: Any, projection: Projection, process: Any) -> None:
    """Join a flat OutPort [pre size] to the connection process."""
    c = projection.connection
    if isinstance(process, Conv) and isinstance(c, Conv2d):
        port = port.reshape(c.in_shape).transpose((2, 1, 0))
    port.connect(process.s_in)


def connect_out(process: Any, port: Any) -> None:
    """Join the connection process to a flat InPort [post size]."""
    out = process.a_out
    if isinstance(process, Conv):
        out = out.transpose((2, 1, 0)).flatten()
    out.connect(port)
