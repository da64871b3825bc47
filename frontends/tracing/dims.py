"""Where the time axis is: every tensor axis as an ordered product of time, batch and space.

A multi-step model merges and splits its axes freely: [T, B, C, H, W] -> [T*B, C, H, W] ->
[T, B*N, ...]. The Graph has neither T nor B, so every axis carries its factors, outermost first:

    "T"   the model steps      "B"   the one sample      int   a factor > 1 of the value at one step

A view may cut T into groups of steps (attention over chunks of steps), [T, ...] -> [n, g, ...]:

    "G"   the groups, n of them      "W"   the steps within a group, g of them

Side by side they are T again. A tensor that holds G without W has one value for each group, which
is the same at all of its steps.

A model is traced as it runs, with one sample and its own T, so that whatever it computes from its
shapes is right. B is thus 1, and T may be. A factor of length 1 (a *mark*) moves no element: it
says which axes of length 1 are no part of the value, and where that is not certain, a guess that
only decides whether a shape has a 1 more. No rule may rest on it.

An axis of length 1 that belongs to the value has no factors. Neighbouring ints of one axis are
merged: only the places of T and B matter. The *step shape* of a tensor is its shape with T and B
taken out of every axis, and without the axes that held nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

TIME = "T"
BATCH = "B"
GROUPS = "G"
WITHIN = "W"
TIMES = (TIME, GROUPS, WITHIN)

Factor = str | int
Axis = tuple[Factor, ...]
Shape = tuple[int, ...]


class TimeProblem(ValueError):
    """A view cuts through the time or batch axis."""


def merged(factors: Iterable[Factor]) -> Axis:
    """`factors` with neighbouring ints multiplied, groups of steps joined, and ones left out."""
    out: list[Factor] = []
    for factor in factors:
        if isinstance(factor, int) and out and isinstance(out[-1], int):
            out[-1] *= factor
        elif factor == WITHIN and out and out[-1] == GROUPS:
            out[-1] = TIME
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
    """The factors of every axis of one tensor.

    steps  length of T;  group  steps of a group, 0 where T is whole
    """

    axes: tuple[Axis, ...]
    steps: int
    group: int = 0

    def with_axes(self, axes: Iterable[Axis], group: int = 0) -> Dims:
        """The same T under other axes. group: where they are cut into groups and these are not."""
        made = tuple(merged(a) for a in axes)
        cut = any(f in (GROUPS, WITHIN) for a in made for f in a)
        return Dims(made, self.steps, (self.group or group) if cut else 0)

    def length(self, factor: Factor) -> int:
        """Length of one factor."""
        if isinstance(factor, int):
            return factor
        if factor == TIME:
            return self.steps
        if factor == WITHIN:
            return self.group
        return self.steps // self.group if factor == GROUPS else 1

    def size(self, axis: Axis) -> int:
        """Length of an axis."""
        return math.prod(self.length(f) for f in axis)

    def solid(self, index: int) -> Axis:
        """The factors of axis `index` that are longer than 1."""
        return merged(f for f in self.axes[index] if self.length(f) > 1)

    @property
    def shape(self) -> Shape:
        """Shape of the tensor."""
        return tuple(self.size(axis) for axis in self.axes)

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

    def times(self, index: int) -> set[Factor]:
        """What axis `index` holds of time: T, groups, or the steps within one."""
        return {f for f in self.solid(index) if f in TIMES}

    @property
    def moments(self) -> set[Factor]:
        """What all axes together hold of time."""
        return {f for i in range(len(self.axes)) for f in self.times(i)}

    @property
    def timed(self) -> bool:
        """Whether any axis holds time, be it of length 1."""
        return any(f in TIMES for axis in self.axes for f in axis)

    @property
    def spread(self) -> bool:
        """Whether an axis holds several steps."""
        return bool(self.moments)

    def plain(self) -> Dims:
        """All axes but the first as axes of the value, without marks: those go to axis 0."""
        lead, *rest = self.axes
        marks = [f for axis in rest for f in axis if self.length(f) == 1]
        if lead == () and not marks:
            marks = [BATCH]
        return self.with_axes(
            [(*lead, *marks), *(tuple(f for f in a if self.length(f) > 1) for a in rest)]
        )

    def view(self, shape: Sequence[int]) -> Dims:
        """The axes after a reshape in C order, which may cut T into groups of steps.

        Raises TimeProblem where it would split T in another way.
        """
        todo = list(merged(f for axis in self.axes for f in axis if self.length(f) > 1))
        axes: list[Axis] = []
        made = self
        for length in shape:
            axis: list[Factor] = []
            left = int(length)
            while left > 1:
                if not todo:
                    raise TimeProblem(f"cannot view {self.shape} as {tuple(shape)}")
                factor = todo.pop(0)
                size = made.length(factor)
                if left % size == 0:
                    axis.append(factor)
                    left //= size
                elif factor == TIME and size % left == 0:
                    made = replace(made, group=size // left)
                    axis.append(GROUPS)
                    todo.insert(0, WITHIN)
                    left = 1
                elif isinstance(factor, int) and size % left == 0:
                    axis.append(left)
                    todo.insert(0, size // left)
                    left = 1
                else:
                    what = "the time axis" if factor in TIMES else "an axis next to time"
                    raise TimeProblem(f"viewing {self.shape} as {tuple(shape)} cuts through {what}")
            axes.append(tuple(axis))
        return made._marked(axes)

    def _marked(self, axes: list[Axis]) -> Dims:
        """`axes`, which hold no marks yet, with the marks of this tensor's axes.

        A mark stays between the same elements. Where axes of length 1 were removed and it is open
        which, it is taken into the axis before.
        """
        starts = [math.prod(map(self.size, axes[:i])) for i in range(len(axes))]
        units = [self.size(axis) == 1 for axis in axes]
        for place, (before, marks) in self._marks().items() if axes else ():
            slots = [i for i, n in enumerate(starts) if n == place and units[i]]
            for slot, given in _to_slots(before, marks, slots):
                axes[slot] = tuple(given)
                marks = [m for m in marks if m not in given]
            host = max((i for i, n in enumerate(starts) if n < place), default=0)
            axes[host] = self._with_marks(axes[host], place // starts[host], marks)
        return self.with_axes(axes)

    def _with_marks(self, axis: Axis, place: int, marks: Sequence[Factor]) -> Axis:
        """`marks` put behind the first `place` elements of an axis."""
        out: list[Factor] = []
        factors = list(axis)
        while factors and place > 1:
            factor = factors.pop(0)
            size = self.length(factor)
            if isinstance(factor, int) and size > place and size % place == 0:
                factors.insert(0, size // place)
                factor = size = place
            out.append(factor)
            place = max(1, place // size)
        return (*out, *marks, *factors)

    def _marks(self) -> dict[int, tuple[list[Axis], list[Factor]]]:
        """Elements before a mark -> (the axes of length 1 there, all marks there), in order."""
        found: dict[int, tuple[list[Axis], list[Factor]]] = {}
        place = 1
        for axis in self.axes:
            if self.size(axis) == 1:
                found.setdefault(place, ([], []))[0].append(axis)
            for factor in axis:
                place *= self.length(factor)
                if self.length(factor) == 1:
                    found.setdefault(place, ([], []))[1].append(factor)
        return {place: both for place, both in found.items() if both[1]}


def _to_slots(
    before: Sequence[Axis], marks: Sequence[Factor], slots: Sequence[int]
) -> list[tuple[int, Sequence[Factor]]]:
    """Which axes of length 1 get which marks: (axis, its marks).

    before  the axes of length 1 that were there;  slots  the ones that are there now
    """
    if len(before) == len(slots):
        return list(zip(slots, before, strict=True))
    if not slots or (() in before and len(slots) < len(before)):
        return []
    spare = max(0, len(marks) - len(slots))
    groups = [marks[: spare + 1], *([m] for m in marks[spare + 1 :])]
    return list(zip(slots, groups, strict=False))
