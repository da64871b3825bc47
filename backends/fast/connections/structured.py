"""Structured: one weight on a pattern of labelled axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Structured
from ..kernels import sums as kernels
from ..layout import Values
from ..rules import Apply, ConnectionRule, Setting

if TYPE_CHECKING:
    from torch import Tensor


def apply(c: Structured, weight: IntArray, pre: int, post: int, sums: Any) -> Apply:
    """Sums the labels only in pre, then gives every post neuron the sum that its labels name."""
    shared = [(label, n) for label, n in c.post if label in dict(c.pre)]
    target, source = _flat(c.pre, shared), _flat(c.post, shared)
    groups = int(np.prod([n for _, n in shared], dtype=np.int64))
    in_order = groups == len(target) and np.array_equal(target, np.arange(groups))

    one = int(weight[0])

    def total(s: Values) -> Values:
        x = s.reshape(len(s), -1)
        if not in_order:
            x = np.zeros((len(s), groups), dtype=sums)
            kernels.add_up(s.reshape(len(s), -1), target, x)
        out = np.empty((len(s), len(source)), dtype=sums)
        kernels.spread(x, source, sums(one), out)
        return out

    return total


def _flat(axes: tuple[tuple[str, int], ...], onto: list[tuple[str, int]]) -> NDArray[np.int32]:
    """For every neuron of `axes` in C order, its index along the axes `onto` alone."""
    index = np.zeros([n for _, n in axes], dtype=np.int32)
    labels = [label for label, _ in axes]
    for label, n in onto:
        along = [1] * len(axes)
        along[labels.index(label)] = n
        index = index * n + np.arange(n, dtype=np.int32).reshape(along)
    return index.ravel()


def largest(c: Structured, weight: IntArray, low: int, high: int) -> int:
    """All post neurons sum equally many."""
    return int(abs(weight[0])) * max(-low, high) * c.summed


def on_device(c: Structured, weight: IntArray, to: Setting) -> Callable[[Tensor], Tensor]:
    """Sums, moves and repeats axes."""
    one = int(weight[0])
    return lambda s: spread(c, s.long()) * one


def spread(c: Structured, s: Tensor) -> Tensor:
    """[N, pre size] -> [N, post size], with a weight of 1."""
    kept = [label for label, _ in c.post if label in dict(c.pre)]
    labels = [label for label, _ in c.pre]
    x = s.reshape(len(s), *(n for _, n in c.pre))
    gone = [1 + i for i, label in enumerate(labels) if label not in kept]
    if gone:
        x = x.sum(dim=gone)
    left = [label for label in labels if label in kept]
    x = x.permute(0, *(1 + left.index(label) for label in kept))
    shape = [n if label in kept else 1 for label, n in c.post]
    return x.reshape(len(s), *shape).expand(len(s), *(n for _, n in c.post)).reshape(len(s), -1)


def same(c: Structured) -> bool:
    """All axes of more than one place are the same on both sides."""
    pre, post = ([(label, n) for label, n in axes if n > 1] for axes in (c.pre, c.post))
    return pre == post


RULE = ConnectionRule(apply, largest, on_device, same=same)
