"""Structured: one weight on a pattern of identity, transpose, broadcast and sum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from scipy import sparse

from ...ground.arith import IntArray
from ..factors import Shape, tails
from .base import Axes, AxisLink, Connection, Fans, Wiring


@dataclass(frozen=True)
class Structured(Connection):
    """One weight on a 0/1 pattern of labelled axes: identity, transpose, broadcast and reduce.

    pre, post  axes (label, length) in C order; neuron i connects to j where all labels that both
               sides have agree. A label only in `post` broadcasts, one only in `pre` is summed.
    Example: k (n,h,i) onto coincidences (h,n,i,j); coincidences onto (h,i,j) sum over n.
    """

    storage = "pattern"
    even = True

    pre: tuple[tuple[str, int], ...]
    post: tuple[tuple[str, int], ...]
    weight: int = 1

    @classmethod
    def one_to_one(cls, shape: Shape, weight: int = 1) -> Structured:
        """Each neuron of a population of `shape` onto the same one of another."""
        axes = _labelled(shape)
        return cls(axes, axes, weight)

    @classmethod
    def to_all(cls, shape: Shape, weight: int = 1) -> Structured:
        """One neuron onto all of a population of `shape`."""
        return cls((), _labelled(shape), weight)

    @property
    def weights(self) -> IntArray:
        """[1]."""
        return np.array([self.weight])

    @property
    def synapses(self) -> int:
        """One per place of all labels together."""
        return prod((dict(self.pre) | dict(self.post)).values())

    @property
    def summed(self) -> int:
        """Pre neurons that each post neuron sums: the labels only in `pre`."""
        kept = {label for label, _ in self.post}
        return prod(n for label, n in self.pre if label not in kept)

    def faults(self, pre: int, post: int) -> Iterator[str]:
        """Labels are unique and agree in length."""
        before, after = dict(self.pre), dict(self.post)
        if len(before) != len(self.pre) or len(after) != len(self.post):
            yield f"a label occurs twice in {self.pre} or {self.post}"
        if min([*before.values(), *after.values()], default=1) < 1:
            yield f"an axis has no elements in {self.pre} or {self.post}"
        unlike = [label for label in before if after.get(label, before[label]) != before[label]]
        if unlike:
            yield f"label {unlike[0]!r} has two lengths in {self.pre} and {self.post}"
        if prod(before.values()) != pre or prod(after.values()) != post:
            yield f"maps {self.pre} to {self.post}, but has {pre} neurons before and {post} after"

    def matrix(self) -> sparse.csr_matrix:
        """A synapse per place of all labels together."""
        sizes = dict(self.pre) | dict(self.post)
        labels = list(sizes)
        grid = dict(zip(labels, np.indices(tuple(sizes[k] for k in labels)), strict=True))
        post, post_size = _flat_index(self.post, grid)
        pre, pre_size = _flat_index(self.pre, grid)
        data = np.full(post.size, self.weight)
        return sparse.csr_matrix((data, (post.ravel(), pre.ravel())), shape=(post_size, pre_size))

    def value_bounds(self, low: int, high: int) -> tuple[IntArray, IntArray]:
        """All post neurons have the same, [1]."""
        n = self.weight * self.summed
        ends = np.array(sorted((n * low, n * high)), dtype=np.int64)
        return ends[:1], ends[1:]

    def rows(self, wanted: IntArray, pre: int) -> sparse.csr_matrix:
        """Shared labels say where the pre neurons begin, labels only in `pre` which ones follow."""
        strides = _strides(self.pre)
        shape = tuple(n for _, n in self.post) or (1,)
        places = dict(zip((k for k, _ in self.post), np.unravel_index(wanted, shape), strict=False))
        base = np.zeros(len(wanted), dtype=np.int64)
        offsets = np.zeros(1, dtype=np.int64)
        for label, length in self.pre:
            if label in places:
                base = base + places[label] * strides[label]
            else:
                offsets = (offsets[:, None] + np.arange(length) * strides[label]).ravel()
        at = (base[:, None] + offsets).ravel()
        indptr = np.arange(len(wanted) + 1, dtype=np.int64) * offsets.size
        data = np.full(at.size, self.weight, dtype=np.int64)
        return sparse.csr_matrix((data, at, indptr), shape=(len(wanted), pre))

    def fan_in(self, pre: int) -> Callable[[IntArray], Fans]:
        """Followed along the labels."""
        post_shape = tuple(n for _, n in self.post)
        post_labels = [label for label, _ in self.post]
        strides = _strides(self.pre)
        shared = [label for label in post_labels if label in strides]
        shared_shape = tuple(dict(self.post)[label] for label in shared)
        offsets = np.zeros(1, dtype=np.int64)
        for label, length in self.pre:
            if label not in shared:
                steps = np.arange(length, dtype=np.int64) * strides[label]
                offsets = (offsets[:, None] + steps).ravel()

        def into(post: IntArray) -> Fans:
            if not self.weight or not post.size:
                return np.zeros(0, np.int64), np.zeros(0, np.int64)
            at = dict(zip(post_labels, np.unravel_index(post, post_shape or (1,)), strict=False))
            if not shared:
                return offsets, np.full(offsets.size, post.size, dtype=np.int64)
            key = np.ravel_multi_index(tuple(at[label] for label in shared), shared_shape)
            keys, counts = np.unique(key, return_counts=True)
            places = zip(shared, np.unravel_index(keys, shared_shape), strict=True)
            base = sum((place * strides[label] for label, place in places), np.zeros_like(keys))
            found = (base[:, None] + offsets).ravel()
            return found, np.repeat(counts, offsets.size).astype(np.int64)

        return into

    def mean_fan_in(self, post: int) -> float:
        """The labels that are summed."""
        return float(self.summed)

    def wiring(self) -> Wiring:
        """Equal labels meet."""
        where = {label: i for i, (label, _) in enumerate(self.pre)}
        links = (AxisLink(where[k], i) for i, (k, _) in enumerate(self.post) if k in where)
        pre, post = (tuple(n for _, n in axes) for axes in (self.pre, self.post))
        return Wiring(pre, post, tuple(links))


def _flat_index(axes: Axes, grid: dict[str, IntArray]) -> tuple[IntArray, int]:
    flat = np.zeros_like(next(iter(grid.values()))) if grid else np.zeros(1, np.int64)
    size = 1
    for label, length in axes:
        flat = flat * length + grid[label]
        size *= length
    return flat, size


def _strides(axes: Axes) -> dict[str, int]:
    """How far apart two neighbours along each axis are."""
    steps = tails([n for _, n in axes])[1:]
    return {label: step for (label, _), step in zip(axes, steps, strict=True)}


def _labelled(shape: Shape) -> tuple[tuple[str, int], ...]:
    return tuple((f"a{i}", n) for i, n in enumerate(shape))
