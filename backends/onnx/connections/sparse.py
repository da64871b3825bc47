"""Sparse: Dense that stores only the synapses that exist."""

from __future__ import annotations

import numpy as np

from ....toolchain.ir.program import Sparse
from ..body import INT64, Scope
from ..forms import ConnectionForm, How
from ..sums import scaled


def connect(c: Sparse, at: Scope, x: str, how: How) -> str:
    """Row sums as differences of one running sum over all synapses: empty rows need no rule.

    Exact even if the running sum wraps at 64 bits, since a row's own sum fits.
    """
    present = at.op("Gather", x, at.array(c.indices.astype(np.int64)))
    terms = at.op("Mul", at.cast(present, INT64), at.weights(how.widths.effective_weights(c.data)))
    running = at.op("CumSum", terms, at.number(0))
    zero = at.array(np.zeros(1, dtype=np.int64))
    running = at.op("Concat", zero, running, axis=0)
    ends = at.op("Gather", running, at.array(c.indptr[1:].astype(np.int64)))
    starts = at.op("Gather", running, at.array(c.indptr[:-1].astype(np.int64)))
    return scaled(at, at.op("Sub", ends, starts), how.exponent)


RULE = ConnectionForm(connect)
