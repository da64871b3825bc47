"""Labelled axes: what a chain of views, broadcasts and sums does to the neurons of a population.

Reshape, Permute, Expand and ReduceSum move no numbers; composed, they say which source neuron
meets which target neuron. `Axes` follows the labels of the source's axes through the chain, and
splits a label where a reshape cuts an axis in two (channels into heads x head dim, say).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from .factors import refine, runs
from .graph import Expand, Node, Permute, ReduceSum, Reshape
from .program import Structured, View

Shape = tuple[int, ...]
Label = str


class NotAView(ValueError):
    """A reshape that does not follow the factors of the axes (e.g. (2, 3) -> (3, 2))."""


@dataclass(frozen=True)
class Axes:
    """source: labels of the source in C order; dims: labels per current axis; sizes of all labels.

    A label in `dims` but not in `source` was broadcast; one in `source` but not in `dims` summed.
    Axes of length 1 carry no label. repeat: how often the sum takes each source value, because an
    axis was broadcast and then summed.
    """

    source: tuple[Label, ...]
    dims: tuple[tuple[Label, ...], ...]
    sizes: dict[Label, int]
    repeat: int = 1

    @classmethod
    def of(cls, shape: Shape) -> Axes:
        """The start: one label per axis longer than 1."""
        labels = [(f"a{i}",) if n > 1 else () for i, n in enumerate(shape)]
        sizes = {f"a{i}": n for i, n in enumerate(shape) if n > 1}
        return cls(tuple(x for d in labels for x in d), tuple(labels), sizes)

    @property
    def shape(self) -> Shape:
        """Lengths of the current axes."""
        return tuple(prod(self.sizes[x] for x in d) for d in self.dims)

    @property
    def flat(self) -> tuple[Label, ...]:
        """Labels of the current value in C order."""
        return tuple(x for d in self.dims for x in d)

    @property
    def is_permutation(self) -> bool:
        """True if every source neuron meets exactly one target neuron."""
        return self.repeat == 1 and sorted(self.source) == sorted(self.flat)

    def then(self, node: Node) -> Axes:
        """These axes after one more view or reduction. Raises NotAView."""
        op = node.op
        if isinstance(op, Reshape):
            return self.reshape(node.shape)
        if isinstance(op, Permute):
            return replace(self, dims=tuple(self.dims[i] for i in op.order))
        if isinstance(op, Expand):
            return self._expand(node.shape, node.name)
        if isinstance(op, ReduceSum):
            kept = tuple(d for i, d in enumerate(self.dims) if i not in op.axes)
            summed = (x for i in op.axes for x in self.dims[i] if x not in self.source)
            return replace(
                self, dims=kept, repeat=self.repeat * prod(self.sizes[x] for x in summed)
            )
        raise TypeError(f"{type(op).__name__} is not a view")

    def _expand(self, shape: Shape, name: str) -> Axes:
        sizes, dims = dict(self.sizes), []
        for i, (labels, old, new) in enumerate(zip(self.dims, self.shape, shape, strict=True)):
            if old == new:
                dims.append(labels)
            else:
                label = f"{name}.{i}"
                sizes[label] = new
                dims.append((label,))
        return replace(self, dims=tuple(dims), sizes=sizes)

    def reshape(self, shape: Shape) -> Axes:
        """Regroup the labels into `shape`, splitting a label where an axis is cut."""
        if prod(shape) != prod(self.shape):
            raise NotAView(f"cannot reshape {self.shape} to {shape}")
        lengths = [self.sizes[x] for x in self.flat]
        atoms = refine(lengths, shape)
        if atoms is None:
            raise NotAView(f"reshape of {self.shape} to {shape} cuts across axes")
        axes = self
        for label, run in zip(self.flat, runs(atoms, lengths), strict=True):
            axes = axes._split(label, [atoms[i] for i in run])
        flat = axes.flat
        dims = tuple(tuple(flat[i] for i in run) for run in runs(atoms, shape))
        return replace(axes, dims=dims)

    def _split(self, label: Label, lengths: Sequence[int]) -> Axes:
        """A label becomes one for each of `lengths`, whose product it is, everywhere.

        Outermost first: ao, aio, aiio, ..., and the last one aii.
        """
        if len(lengths) == 1:
            return self
        last = len(lengths) - 1
        parts = [f"{label}{'i' * k}{'o' if k < last else ''}" for k in range(len(lengths))]
        sizes = {k: v for k, v in self.sizes.items() if k != label}
        sizes |= dict(zip(parts, lengths, strict=True))

        def swap(labels: Sequence[Label]) -> tuple[Label, ...]:
            return tuple(y for x in labels for y in (parts if x == label else (x,)))

        return Axes(swap(self.source), tuple(swap(d) for d in self.dims), sizes, self.repeat)

    def view(self) -> View | None:
        """The permutation as a View; None if it changes nothing."""
        order = tuple(self.source.index(x) for x in self.flat)
        if order == tuple(range(len(order))):
            return None
        return View(tuple(self.sizes[x] for x in self.source), order)

    def structured(self, weight: int = 1) -> Structured:
        """The 0/1 pattern of the whole chain as a connection; `weight` includes `repeat`."""
        return Structured(
            tuple((x, self.sizes[x]) for x in self.source),
            tuple((x, self.sizes[x]) for x in self.flat),
            weight,
        )
