"""What populations send during calibration, without the coincidences of attention one by one.

A coincidence (AND of two spikes) or a product is the elementwise product of two operands that are
broadcast over each other's axes: tokens x tokens x channels values from two arrays of tokens x
channels. Only sums of them are ever read, so they are kept as their operands, and a reader
contracts those (`sfx.toolchain.ir.pair_products`). Exact: all values are whole numbers below 2^53.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....ground.arith import IntArray
from ....ir.factors import refine, runs
from ....ir.graph import FloatArray
from ....ir.pair_products import contract
from ....ir.program import Structured

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Coincidences:
    """a * b, elementwise; a, b [K, T, *axes] are broadcast views of one shape (stride 0)."""

    a: FloatArray
    b: FloatArray

    def array(self) -> IntArray:
        """Every value [K, T, n]."""
        whole: IntArray = np.rint(self.a * self.b).astype(np.int64)
        return whole.reshape(*whole.shape[:2], -1)


Values = Array | Coincidences
"""What a population sends: integers [K, T, n], or their two operands."""


def array(x: Values) -> Array:
    """The integers [K, T, n] themselves."""
    return x.array() if isinstance(x, Coincidences) else x


def structured(c: Structured, x: Values) -> IntArray:
    """What a structured connection makes of `x`: integers [K, T, post]."""
    y, shape = _narrow(c, x)
    wide: IntArray = np.broadcast_to(y, (*y.shape[:2], *shape))
    return wide.reshape(*y.shape[:2], -1).astype(np.int64)


def over_steps(c: Structured, x: Values, group: int) -> IntArray:
    """`structured` summed over each group of steps: integers [K, T/group, post]."""
    steps = (x.a if isinstance(x, Coincidences) else x).shape[1]
    sums: list[IntArray] = []
    for start in range(0, steps, group):
        y, shape = _narrow(c, _part(x, slice(start, start + group)), steps=True)
        wide = np.broadcast_to(y, (*y.shape[:2], *shape))
        sums.append(wide.reshape(*y.shape[:2], -1).astype(np.int64))
    return sums[0] if len(sums) == 1 else np.concatenate(sums, axis=1)


def _part(x: Values, steps: slice) -> Values:
    if isinstance(x, Coincidences):
        return Coincidences(x.a[:, steps], x.b[:, steps])
    return x[:, steps]


def coincidences(ca: Structured, a: Values, cb: Structured, b: Values) -> Coincidences | None:
    """(ca a) * (cb b), or None where it would save nothing or the axes do not line up."""
    (x, x_shape), (y, y_shape) = _narrow(ca, a), _narrow(cb, b)
    axes = refine(x_shape, y_shape)
    if axes is None or 2 * (_stored(x) + _stored(y)) > prod((*x.shape[:2], *axes)):
        return None
    return Coincidences(_wide(x, x_shape, axes), _wide(y, y_shape, axes))


def _held(x: Array) -> bool:
    """The same at every step, and stored once."""
    return x.shape[1] > 1 and x.strides[1] == 0


def _stored(x: Array) -> int:
    return x.size // x.shape[1] if _held(x) else x.size


def _wide(x: IntArray, shape: Sequence[int], axes: Sequence[int]) -> FloatArray:
    lead = x.shape[:2]
    real = (x[:, :1] if _held(x) else x).astype(np.float64)
    wide = np.broadcast_to(real, (*real.shape[:2], *shape)).reshape(*real.shape[:2], *axes)
    return np.broadcast_to(wide, (*lead, *axes))


def _narrow(c: Structured, x: Values, *, steps: bool = False) -> tuple[IntArray, tuple[int, ...]]:
    """The connection's result with length 1 on the axes it broadcasts, and its full shape.

    steps: summed over the steps, which then have length 1 too.
    """
    if not steps and not isinstance(x, Coincidences) and _held(x):
        y, shape = _narrow(c, x[:, :1])
        return np.broadcast_to(y, (*x.shape[:2], *y.shape[2:])), shape
    post = [label for label, _ in c.post]
    kept = [label for label, _ in c.pre if label in post]
    y = _summed(c, x, steps)
    if c.weight != 1:
        y = y * c.weight
    order = [kept.index(label) for label in post if label in kept]
    y = y.transpose(0, 1, *(2 + i for i in order))
    ones = [n if label in kept else 1 for label, n in c.post]
    return y.reshape(*y.shape[:2], *ones), tuple(n for _, n in c.post)


def _summed(c: Structured, x: Values, steps: bool) -> IntArray:
    """The sum over the labels only in pre [K, T, *kept pre axes], T = 1 if over the steps too."""
    post = {label for label, _ in c.post}
    sizes = tuple(n for _, n in c.pre)
    if isinstance(x, Coincidences):
        found = _contracted(x, c, post, steps)
        if found is not None:
            return found
    whole = array(x)
    gone = tuple(2 + i for i, (label, _) in enumerate(c.pre) if label not in post)
    if steps:
        whole = whole.sum(axis=1, keepdims=True, dtype=np.int64)
    shaped = whole.reshape(*whole.shape[:2], *sizes)
    return shaped.sum(axis=gone, dtype=np.int64) if gone else shaped.astype(np.int64)


def _contracted(x: Coincidences, c: Structured, post: set[str], steps: bool) -> IntArray | None:
    lead = x.a.shape[:2]
    axes = refine(x.a.shape[2:], [n for _, n in c.pre])
    if axes is None:
        return None
    labels = _labels(axes, c)
    gone = tuple(2 + i for i, label in enumerate(labels) if label not in post)
    gone = (1, *gone) if steps else gone
    a, b = (v.reshape(*lead, *axes) for v in (x.a, x.b))
    total = contract(a, b, gone) if gone else a * b
    kept = [n for label, n in c.pre if label in post]
    whole: IntArray = np.rint(total).astype(np.int64)
    return whole.reshape(lead[0], 1 if steps else lead[1], *kept)


def _labels(axes: Sequence[int], c: Structured) -> list[str]:
    """The pre label that each refined axis is a part of."""
    covered = runs(axes, [n for _, n in c.pre])
    return [label for (label, _), run in zip(c.pre, covered, strict=True) for _ in run]
