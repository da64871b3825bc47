"""What is read of a contraction: sums over its pairs, as matrix products of its operands."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..kernels import pair_sums as kernels
from ..layout import Values
from ..plan.contractions import Axes, Contraction, Operand, Reading
from .sent import Sent


def pair_sums(c: Contraction, r: Reading, a: Sent, b: Sent, sums: Any) -> Values:
    """What a projection with unit weight brings: [B*S, post size]."""
    lanes = a.lead[0] * a.lead[1]
    x, x_axes = _summed(c, *_stored(c, c.a, a), c.b.axes, r.kept, sums)
    y, y_axes = _summed(c, *_stored(c, c.b, b), c.a.axes, r.kept, sums)
    if c.a.weight * c.b.weight != 1 and not c.both:
        x = x.astype(sums) * sums(c.a.weight * c.b.weight)
    shared = [i for i in r.kept if i in x_axes and i in y_axes]
    inner = [i for i in x_axes if i in y_axes and i not in r.kept]
    only_x = [i for i in r.kept if i not in y_axes]
    only_y = [i for i in r.kept if i not in x_axes]

    def size(axes: list[int]) -> int:
        return prod(c.lengths[i] for i in axes)

    left = _ordered(c, x, x_axes, [*shared, *only_x, *inner])
    right = _ordered(c, y, y_axes, [*shared, *inner, *only_y])
    g, m, k, n = lanes * size(shared), size(only_x), size(inner), size(only_y)
    out = np.empty((g, m, n), dtype=sums)
    kernels.multiply(left.reshape(g, m, k), right.reshape(g, k, n), out)
    order = [*shared, *only_x, *only_y]
    result = _ordered(c, out.reshape(lanes, -1), order, list(r.kept))
    return _repeated(c, r, result.reshape(lanes, -1))


def _stored(c: Contraction, operand: Operand, sent: Sent) -> tuple[Values, Axes]:
    """What was sent [lanes, n] and its axes in the order of memory: no copy."""
    values = sent.values.reshape(sent.lead[0] * sent.lead[1], -1)
    channels, first, covered = sent.layout.channels, 0, 1
    while covered < channels and first < len(operand.axes):
        covered *= c.lengths[operand.axes[first]]
        first += 1
    if channels in (0, covered):
        turned = first if channels else 0
        return values, operand.axes[turned:] + operand.axes[:turned]
    return sent.flat.reshape(len(values), -1), operand.axes


def _summed(
    c: Contraction, x: Values, axes: Axes, others: Axes, kept: Axes, sums: Any
) -> tuple[Values, list[int]]:
    """x without the axes that only it has and nobody keeps."""
    gone = [i for i in axes if i not in others and i not in kept]
    if not gone:
        return x, list(axes)
    shaped = x.reshape(len(x), *(c.lengths[i] for i in axes))
    total = shaped.sum(axis=tuple(1 + axes.index(i) for i in gone), dtype=sums)
    return total.reshape(len(x), -1), [i for i in axes if i not in gone]


def _ordered(c: Contraction, x: Values, axes: list[int], wanted: list[int]) -> Values:
    """x [lanes, axes] -> [lanes, wanted], memory in that order."""
    if axes == wanted:
        return x
    shaped = x.reshape(len(x), *(c.lengths[i] for i in axes))
    return np.ascontiguousarray(shaped.transpose(0, *(1 + axes.index(i) for i in wanted)))


def _repeated(c: Contraction, r: Reading, x: Values) -> Values:
    """Post's labels that no pair has repeat the value."""
    if not r.new:
        return x
    shape = [1 if i in r.new else n for i, n in enumerate(r.shape)]
    whole = np.broadcast_to(x.reshape(len(x), *shape), (len(x), *r.shape))
    return np.ascontiguousarray(whole).reshape(len(x), -1)
