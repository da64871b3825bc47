"""Where the time axis is: every tensor axis as an ordered product of time, batch and space.

A multi-step model merges and splits its axes freely: [T, B, C, H, W] -> [T*B, C, H, W] ->
[T, B*N, ...]. The Graph has neither T nor B, so every axis carries its factors, outermost first:

    "T"   the model steps      "B"   the samples      int   a factor > 1 of the value at one step

An axis of length 1 has no factors. Neighbouring ints of one axis are merged: only the places of
T and B matter. The *step shape* of a tensor is its shape with T and B taken out of every axis,
and without the axes that held nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TIME = "T"
BATCH = "B"

Factor = str | int
Axis = tuple[Factor, ...]
Shape = tuple[int, ...]


class TimeProblem(ValueError):
    """A view cuts through the time or batch axis."""


def merged(factors: Iterable[Factor]) -> Axis:
    """`factors` with neighbouring ints multiplied and ones left out."""
    out: list[Factor] = []
    for factor in factors:
        if isinstance(factor, int) and out and isinstance(out[-1], int):
            out[-1] *= factor
        elif factor != 1:
            out.append(factor)
    return tuple(out)


def space(axis: Axis) -> int:
    """Product of the ints of an axis: its length at one step."""
    return math.prod(f for f in axis if isinstance(f, int))


def in_step(axis: Axis) -> bool:
    """Whether the axis still exists in the step shape: it is not T and B alone."""
    return not axis or any(isinstance(f, int) for f in axis)


@dataclass(frozen=True)
class Dims:
    """The factors of every axis of one tensor. steps, batch: lengths of T and B, both > 1."""

    axes: tuple[Axis, ...]
    steps: int
    batch: int

    def with_axes(self, axes: Iterable[Axis]) -> Dims:
        """The same lengths of T and B under other axes."""
        return Dims(tuple(merged(a) for a in axes), self.steps, self.batch)

    def length(self, factor: Factor) -> int:
        """Length of one factor."""
        if isinstance(factor, int):
            return factor
        return self.steps if factor == TIME else self.batch

    @property
    def shape(self) -> Shape:
        """Shape of the tensor."""
        return tuple(math.prod(self.length(f) for f in axis) for axis in self.axes)

    @property
    def step_shape(self) -> Shape:
        """Shape at one step of one sample; (1,) where no axis is left."""
        return tuple(space(a) for a in self.axes if in_step(a)) or (1,)

    def step_axis(self, index: int) -> int:
        """Position of tensor axis `index` in the step shape."""
        return sum(in_step(a) for a in self.axes[:index])

    def holds(self, factor: Factor) -> bool:
        """Whether any axis holds `factor`."""
        return any(factor in axis for axis in self.axes)

    def view(self, shape: Sequence[int]) -> Dims:
        """The axes after a reshape in C order. Raises TimeProblem where it would split T or B."""
        todo: list[Factor] = list(merged(f for axis in self.axes for f in axis))
        axes: list[Axis] = []
        for length in shape:
            axis: list[Factor] = []
            left = int(length)
            while left > 1:
                if not todo:
                    raise TimeProblem(f"cannot view {self.shape} as {tuple(shape)}")
                factor = todo.pop(0)
                size = self.length(factor)
                if left % size == 0:
                    axis.append(factor)
                    left //= size
                elif isinstance(factor, int) and size % left == 0:
                    axis.append(left)
                    todo.insert(0, size // left)
                    left = 1
                else:
                    what = {TIME: "the time axis", BATCH: "the batch axis"}.get(str(factor), "")
                    raise TimeProblem(
                        f"viewing {self.shape} as {tuple(shape)} cuts through "
                        f"{what or 'an axis next to time or batch'}"
                    )
            axes.append(tuple(axis))
        return self.with_axes(axes)
