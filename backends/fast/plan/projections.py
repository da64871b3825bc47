"""Projections readied once: [N, *pre shape] -> what post receives [N, post size].

Narrow (32-bit) sums only where the declared range of pre proves that every partial sum fits; the
executor refuses values outside that range. Wide (64-bit) sums need no proof.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from ....toolchain.ground.arith import wrap, wrap32
from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Population, Projection, View
from ..connections import RULES
from ..layout import Values
from ..rules import Apply
from .convolutions import Convolution, convolution_of

LIMIT = 1 << 31
"""What a signed 32-bit sum cannot hold."""


class PlannedProjection:
    """How one projection is computed.

    bound  no value that post receives is larger;  wide  its sums are int64
    convolution  what computes it with channels last, if there is one
    same  True if neuron i of post receives from neuron i of pre and no other
    effective  the weights in use;  largest  no sum of them over inputs is larger
    """

    def __init__(
        self, j: Projection, pre: Population, post: Population, widths: Arithmetic, *, wide: bool
    ) -> None:
        self.pre_view, self.post_view = j.pre_view, j.post_view
        self.as_events = wide and not pre.graded  # narrow: the range check proves 0/1
        low, high = (min(pre.low, 0), max(pre.high, 0)) if pre.graded else (0, 1)
        c = j.connection
        self.rule, shift = RULES[type(c)], j.weight_exp
        kernel = self.rule.kernel and shift >= 0  # integer semantics 3.3, else 3.1
        weight = c.weights if kernel else widths.effective_weights(c.weights)
        largest = self.rule.largest(c, weight, low, high)
        bits = widths.sum_bits if kernel else 32
        self.exponent, self.bits = shift, bits
        full = largest << max(shift, 0)
        self.wide = wide or full >= LIMIT or np.abs(weight).max(initial=0) >= 1 << 15
        self.wraps = self.wide or full >= 1 << (bits - 1)
        self.bound = (1 << (bits - 1)) if self.wraps else full
        self.sums = np.int64 if self.wide else np.int32
        self.convolution: Convolution | None = None
        self.same = False
        if not self.wraps and j.pre_view is None and j.post_view is None:
            self.convolution = convolution_of(
                self.rule.convolved(c, weight), weight, shift, low, high
            )
            self.same = self.rule.same(c)
        self.connection, self.effective, self.largest = c, weight, largest
        self.pre_size, self.post_size = pre.size, post.size
        self.weight = int(weight.flat[0]) if c.storage == "pattern" else 0

    @cached_property
    def apply(self) -> Apply:
        """[N, pre size] -> [N, post size] before exponent and wrap, neurons in C order."""
        sizes = self.pre_size, self.post_size
        return self.rule.apply(self.connection, self.effective, *sizes, self.sums)

    def scaled(self, values: Values, kind: Any) -> Values:
        """weight * values with the exponent; 1 * values costs nothing, not even a copy."""
        if self.weight != 1 or self.exponent:
            values = np.multiply(values, np.int64(self.weight).astype(kind), dtype=kind)
        if self.exponent == 0:
            return values
        return values << self.exponent if self.exponent > 0 else values >> -self.exponent

    def scale(self, total: Values) -> Values:
        """What post receives for sums with unit weight: weight and exponent applied."""
        return self.scaled(total, np.dtype(self.sums))

    def __call__(self, s: Values) -> Values:
        """s [N, *pre shape] -> [N, post size], memory of its own, neurons in C order."""
        if self.as_events:
            s = (s != 0).astype(np.int8)
        flat = s.reshape(len(s), -1)
        out = self.apply(flat if self.pre_view is None else _viewed(flat, self.pre_view))
        if self.exponent > 0:
            out = out << self.exponent if not self.wide else wrap32(out) << self.exponent
        elif self.exponent < 0:
            out = (wrap32(out) if self.wide else out) >> -self.exponent
        if self.wraps:
            out = wrap(out, self.bits).astype(self.sums)
        if self.post_view is not None:
            out = _viewed(out, self.post_view)
        return out.reshape(len(s), -1)


def _viewed(x: Values, view: View) -> Values:
    """View.apply without the copy: the trailing axes stay apart."""
    return x.reshape(len(x), *view.split).transpose(0, *(1 + o for o in view.order))
