"""Event counts while a run goes on, and what they become.

A run counts in bytes, moves to wider integers before 255 lanes are full, and makes the arrays of
`Counts` only when somebody asks for them: a million neurons by T steps are more bytes than the
run itself touches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ....toolchain.ground.arith import IntArray
from ....toolchain.ir.program import Shape
from ..layout import C_ORDER, Layout, Values, arranged
from ..plan.contractions import Contraction, Operand
from ..plan.prepared import Prepared

MOST_LANES = 255
"""What a byte counts."""
Bytes = NDArray[np.uint8]


class Tally:
    """Events and active neurons [S, n] of a simulated population, in its layout."""

    def __init__(self, steps: int, shape: Shape, layout: Layout) -> None:
        self.shape, self.layout = (steps, *shape), layout
        n = int(np.prod(shape, dtype=np.int64))
        self.events, self.active = np.zeros((steps, n), np.uint8), np.zeros((steps, n), np.uint8)
        self._lanes = 0
        self._full: tuple[NDArray[np.uint32], NDArray[np.uint32]] | None = None

    def reserve(self, lanes: int) -> None:
        """Make space for the counts of `lanes` <= 255 more."""
        if self._lanes + lanes > MOST_LANES:
            self._full = self._total()
            self.events[:] = 0
            self.active[:] = 0
            self._lanes = 0
        self._lanes += lanes

    def _total(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        if self._full is None:
            return self.events.astype(np.uint32), self.active.astype(np.uint32)
        return self._full[0] + self.events, self._full[1] + self.active

    def event_counts(self) -> IntArray:
        """Nonzero values sent [S, *shape]."""
        return self._shaped(self.events if self._full is None else self._full[0] + self.events)

    def active_counts(self) -> IntArray:
        """Neurons with something to update [S, *shape]."""
        return self._shaped(self.active if self._full is None else self._full[1] + self.active)

    def event_total(self) -> int:
        """The sum of `event_counts`."""
        full = 0 if self._full is None else int(self._full[0].sum(dtype=np.int64))
        return full + int(self.events.sum(dtype=np.int64))

    def _shaped(self, counts: Values) -> IntArray:
        wide: IntArray = arranged(counts, self.layout, C_ORDER).astype(np.int64)
        return wide.reshape(self.shape)


class Counted(Protocol):
    """What makes the arrays of one population."""

    def event_counts(self) -> IntArray:
        """Nonzero values sent [S, *shape]."""
        ...

    def active_counts(self) -> IntArray:
        """Neurons with something to update [S, *shape]."""
        ...

    def event_total(self) -> int:
        """The sum of `event_counts`, without that array."""
        ...


@dataclass(frozen=True, eq=False)
class PackedBits:
    """[B, S, n] packed along the neurons, which are held as `layout` says."""

    bits: Bytes
    layout: Layout

    def step(self, t: int, n: int) -> Bytes:
        """[B, n] 0/1 at step t, in C order."""
        unpacked = np.unpackbits(self.bits[:, t], axis=-1, count=n)
        return arranged(unpacked, self.layout, C_ORDER)


@dataclass(frozen=True, eq=False)
class Factor:
    """Which neurons of an operand are not silent: before the first step [n], then batches."""

    before: NDArray[np.bool_]
    batches: list[PackedBits]


class PairTally:
    """The counts of a contraction: sums over samples of products of its operands.

    events(a, b) = sum of A B. A product is active where A or B: A + B - A B. A coincidence neuron
    keeps u for one step, so it is active where its input is or was: the same with A at this step
    or the one before.
    """

    def __init__(self, contraction: Contraction, steps: int, shape: Shape) -> None:
        self.contraction, self.shape = contraction, (steps, *shape)
        self.steps = steps
        self.a, self.b = (self._factor(o) for o in (contraction.a, contraction.b))
        self._lanes: list[int] = []
        self._done = np.zeros((2, 0), np.uint32)

    def _factor(self, operand: Operand) -> Factor:
        n = int(np.prod([self.contraction.lengths[i] for i in operand.axes], dtype=np.int64))
        return Factor(np.zeros(n, np.bool_), [])

    def starts_after(self, sent: Mapping[str, IntArray]) -> None:
        """sent[name] [steps, n]: what operands sent before the first step, the last one last."""
        for factor, operand in ((self.a, self.contraction.a), (self.b, self.contraction.b)):
            if operand.name in sent:
                factor.before[:] = sent[operand.name][-1] != 0

    def add(
        self, a: Values, b: Values, layouts: tuple[Layout, Layout] = (C_ORDER, C_ORDER)
    ) -> None:
        """Count the lanes of the operands [B, S, n], held in these layouts."""
        for factor, values, layout in zip((self.a, self.b), (a, b), layouts, strict=True):
            factor.batches.append(PackedBits(np.packbits(values != 0, axis=-1), layout))
        self._lanes.append(len(a))
        if self._held() > 8 * int(np.prod(self.shape, dtype=np.int64)):
            self._done = self._totals()
            for factor in (self.a, self.b):
                factor.batches.clear()
            self._lanes.clear()

    def _held(self) -> int:
        return sum(x.bits.nbytes for f in (self.a, self.b) for x in f.batches)

    def event_counts(self) -> IntArray:
        """Nonzero values sent [S, *shape]."""
        return self._counts(0)

    def active_counts(self) -> IntArray:
        """Neurons with something to update [S, *shape]."""
        return self._counts(1)

    def event_total(self) -> int:
        """The sum of `event_counts`: no pair is looked at."""
        total = int(self._done[0].sum(dtype=np.int64)) if self._done.size else 0
        for t in range(self.steps):
            a, b = (self._at(f, t, False) for f in (self.a, self.b))
            left, right = _factors(self.contraction, a, b)
            total += int(
                (left.sum(axis=2, dtype=np.int64) * right.sum(axis=2, dtype=np.int64)).sum()
            )
        return total

    def _counts(self, which: int) -> IntArray:
        total = self._total(which).astype(np.int64)
        if self._done.size:
            total += self._done[which].reshape(total.shape)
        return total.reshape(self.shape)

    def _totals(self) -> NDArray[np.uint32]:
        new: NDArray[np.uint32] = np.stack([self._total(i).reshape(-1) for i in (0, 1)])
        return new + self._done if self._done.size else new

    def _total(self, which: int) -> NDArray[np.uint32]:
        """Of the lanes held, as [S, *axes]."""
        c = self.contraction
        out = np.zeros((self.steps, *c.lengths), np.uint32)
        for t in range(self.steps):
            recent = which == 1 and c.both
            a, b = (self._at(f, t, recent) for f in (self.a, self.b))
            pairs = _pair_counts(c, a, b)
            if which == 0:
                out[t] = pairs
                continue
            out[t] = _spread(c, c.a, a.sum(axis=0)) + _spread(c, c.b, b.sum(axis=0)) - pairs
        return out

    def _at(self, factor: Factor, t: int, recent: bool) -> NDArray[np.float32]:
        """[lanes, n] 0/1: not silent at step t, or `recent`: at t or the step before."""
        n = len(factor.before)
        if not factor.batches:
            return np.zeros((0, n), np.float32)
        whole = _unpacked(factor, t, n)
        if recent:
            whole = whole | (factor.before if t == 0 else _unpacked(factor, t - 1, n))
        return whole.astype(np.float32)


def _unpacked(factor: Factor, t: int, n: int) -> Bytes:
    return np.concatenate([x.step(t, n) for x in factor.batches])


def _pair_counts(
    c: Contraction, a: NDArray[np.float32], b: NDArray[np.float32]
) -> NDArray[np.uint32]:
    """[*axes]: sum over lanes of a b; exact, because counts stay below 2^24."""
    left, right = _factors(c, a, b)
    product = np.matmul(left.transpose(0, 2, 1), right)  # [shared, only a, only b]
    order = [i for part in _parts(c) for i in part]
    shaped = product.reshape([c.lengths[i] for i in order])
    out: NDArray[np.uint32] = shaped.transpose([order.index(i) for i in range(len(order))]).astype(
        np.uint32
    )
    return out


def _parts(c: Contraction) -> tuple[list[int], list[int], list[int]]:
    """Axes of both operands, of a alone, of b alone."""
    shared = [i for i in c.a.axes if i in c.b.axes]
    alone = ([i for i in o.axes if i not in shared] for o in (c.a, c.b))
    only_a, only_b = alone
    return shared, only_a, only_b


def _factors(
    c: Contraction, a: NDArray[np.float32], b: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """a, b [lanes, n] -> [shared, lanes, own]."""
    shared, only_a, only_b = _parts(c)
    return _matrix(c, c.a, a, [shared, only_a]), _matrix(c, c.b, b, [shared, only_b])


def _matrix(
    c: Contraction, operand: Operand, x: NDArray[np.float32], parts: list[list[int]]
) -> NDArray[np.float32]:
    """x [lanes, n] -> [shared, lanes, own]."""
    shaped = x.reshape(len(x), *(c.lengths[i] for i in operand.axes))
    place = {axis: 1 + k for k, axis in enumerate(operand.axes)}
    shared, own = ([place[i] for i in part] for part in parts)
    # not -1: there may be no lane with a spike, and no size follows from an empty array
    sizes = [int(np.prod([c.lengths[i] for i in part], dtype=np.int64)) for part in parts]
    rows = np.ascontiguousarray(shaped.transpose(*shared, 0, *own))
    return rows.reshape(sizes[0], len(x), sizes[1])


def _spread(c: Contraction, operand: Operand, x: NDArray[np.float32]) -> NDArray[np.uint32]:
    """x [n] of an operand, broadcastable over all axes."""
    order = sorted(operand.axes)
    shaped = x.reshape([c.lengths[i] for i in operand.axes])
    sorted_axes = shaped.transpose([operand.axes.index(i) for i in order])
    lengths = [n if i in operand.axes else 1 for i, n in enumerate(c.lengths)]
    out: NDArray[np.uint32] = sorted_axes.reshape(lengths).astype(np.uint32)
    return out


def tallies_of(ready: Prepared, steps: int) -> dict[str, Tally | PairTally]:
    """By population, nothing counted yet."""
    return {
        p.name: PairTally(ready.contracted[p.name], steps, p.shape)
        if p.name in ready.contracted
        else Tally(steps, p.shape, ready.layout[p.name])
        for p in ready.program
    }


class CountsOnDemand(Mapping[str, IntArray]):
    """Arrays by population, made when asked for and not kept; `totals` are their sums."""

    def __init__(
        self, make: Mapping[str, Callable[[], IntArray]], totals: Mapping[str, Callable[[], int]]
    ) -> None:
        self._make, self._totals = make, totals

    def total(self, name: str) -> int:
        """The sum of an array."""
        return self._totals[name]() if name in self._totals else int(self[name].sum())

    def __getitem__(self, name: str) -> IntArray:
        return self._make[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)
