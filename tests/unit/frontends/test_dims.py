"""Following T and B through views, against views of real arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.frontends.tracing.dims import BATCH, GROUPS, TIME, WITHIN, Dims, TimeProblem


def factors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@st.composite
def views(draw):
    """Dims with T and B anywhere among the axes, and another shape of the same size."""
    steps = draw(st.sampled_from((1, 2, 3, 4, 6, 12)))
    space = draw(st.lists(st.integers(1, 4), max_size=4))
    flat: list[str | int] = [*space]
    flat.insert(draw(st.integers(0, len(flat))), TIME)
    flat.insert(draw(st.integers(0, len(flat))), BATCH)
    axes: list[list[str | int]] = [[]]
    cuts = draw(st.sets(st.integers(0, len(flat) - 1)))
    for i, factor in enumerate(flat):
        if i in cuts:
            axes.append([])
        axes[-1].append(factor)
    dims = Dims((), steps).with_axes(tuple(a) for a in axes)
    shape, left = [], math.prod(dims.shape)
    for choice in draw(st.lists(st.integers(0, 20), max_size=4)):
        shape.append(factors(left)[choice % len(factors(left))])
        left //= shape[-1]
    shape.append(left)
    return dims, tuple(shape)


def one_step(dims: Dims, t: int) -> np.ndarray:
    """The tensor's values at step t, in C order, as flat indices of the tensor."""
    flat = [f for axis in dims.axes for f in axis]
    index = np.arange(math.prod(dims.shape)).reshape([dims.length(f) for f in flat])
    group, within = divmod(t, dims.group or 1)
    at = {TIME: t, BATCH: 0, GROUPS: group, WITHIN: within}
    return index[tuple(at.get(f, slice(None)) for f in flat)].ravel()


@given(views())
def test_a_view_keeps_every_steps_values_in_order(case):
    dims, shape = case
    try:
        after = dims.view(shape)
    except TimeProblem:
        return
    assert after.shape == shape
    assert math.prod(after.step_shape) == math.prod(dims.step_shape)
    marks = [[f for axis in d.axes for f in axis if d.length(f) == 1] for d in (after, dims)]
    assert sorted(marks[0]) == sorted(marks[1]) or not shape
    for t in range(dims.steps):
        np.testing.assert_array_equal(one_step(after, t), one_step(dims, t))


@given(views())
def test_a_view_to_its_own_shape_is_always_possible(case):
    dims, _ = case
    assert dims.view(dims.shape).step_shape == dims.step_shape


C, H, W = (3,), (8,), (8,)
T, B, TB = (TIME,), (BATCH,), (TIME, BATCH)
N, S = (GROUPS,), (WITHIN,)

VIEWS = [
    # steps, axes, then shape and the axes it must have, one view after the other
    (4, (T, B, C, H, W), [((4, 3, 8, 8), (TB, C, H, W)), ((4, 1, 3, 64), (T, B, C, (64,)))]),
    (4, (T, B, C, H, W), [((4, 192), (TB, (192,))), ((4, 1, 1, 192), (T, B, (), (192,)))]),
    (4, (T, B, (), H, W), [((4, 1, 8, 8), (TB, (), H, W)), ((4, 1, 1, 64), (T, B, (), (64,)))]),
    (1, (T, B, C, H, W), [((1, 3, 8, 8), (TB, C, H, W)), ((1, 1, 3, 64), (T, B, C, (64,)))]),
    (1, (T, B, (), H, W), [((1, 1, 8, 8), (TB, (), H, W)), ((1, 1, 1, 64), (T, B, (), (64,)))]),
    (1, (T, B, C), [((3,), ((TIME, BATCH, 3),)), ((1, 1, 3), (T, B, C))]),
    (4, (B, T, (16,)), [((1, 64), (B, (TIME, 16))), ((1, 4, 16), (B, T, (16,)))]),
    (4, (T, (2,), B, (3,)), [((24,), ((TIME, 2, BATCH, 3),)), ((4, 2, 1, 3), (T, (2,), B, (3,)))]),
    (4, (B, C, H), [((24,), ((BATCH, 24),)), ((1, 24), (B, (24,)))]),
    (6, (T, B, C), [((3, 2, 1, 3), (N, S, B, C)), ((3, 2, 3), (N, (WITHIN, BATCH), C)),
                    ((6, 1, 3), (T, B, C)), ((2, 3, 1, 3), (N, S, B, C)), ((6, 3), (TB, C))]),
    (6, (B, C, T, H), [((1, 3, 2, 24), (B, C, N, (WITHIN, 8))), ((3, 6, 8), ((BATCH, 3), T, H))]),
    (6, (N, B, C, (WITHIN, 8)), [((3, 24, 2), ((GROUPS, BATCH), (3, WITHIN, 4), (2,)))]),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "axes", "views"), VIEWS)
def test_the_usual_views(steps, axes, views):
    x = Dims((), steps).with_axes(axes, group=2)
    for shape, want in views:
        x = x.view(shape)
        assert x.axes == want
        assert x.shape == shape


def test_axes_of_length_1_that_are_no_part_of_the_value():
    x = Dims((), 4).with_axes([(TIME,), (BATCH,), (), (8,)])
    assert x.step_shape == (1, 8)
    assert x.plain().axes == ((TIME, BATCH), (), (), (8,))
    assert x.plain().step_shape == (1, 1, 8)
    one = Dims((), 1).with_axes([(), (BATCH,), (8,)])
    assert one.step_shape == (1, 8)
    assert one.plain().axes == ((BATCH,), (), (8,))
    assert Dims((), 1).with_axes([(), (), (8,)]).plain().step_shape == (1, 8)
    assert (one.solid(0), one.solid(2)) == ((), (8,))
    assert not Dims((), 1).with_axes([(TIME,), (8,)]).spread


@pytest.mark.parametrize("shape", [(2, 2, 192), (4, 3, 2, 32), (96, 8), (8, 96)])
def test_cutting_through_time_or_not(shape):
    x = Dims((), 4).with_axes([(TIME,), (BATCH,), (3,), (8,), (8,)])
    assert math.prod(x.view(shape).step_shape) == 192
    y = Dims((), 6).with_axes([(TIME,), (BATCH,), (8,)])
    with pytest.raises(TimeProblem, match="cuts through the time axis"):
        y.view((4, 12))


def test_steps_are_cut_into_groups_once():
    x = Dims((), 12).with_axes([(TIME,), (BATCH,), (5,)])
    cut = x.view((3, 4, 1, 5))
    assert (cut.group, cut.view((12, 5)).group, cut.view((2, 6, 5)).group) == (4, 0, 6)
    assert cut.moments == {GROUPS, WITHIN}
    assert cut.with_axes([cut.axes[0], *cut.axes[2:]]).moments == {GROUPS}
    moved = cut.with_axes([cut.axes[i] for i in (1, 0, 2, 3)])
    with pytest.raises(TimeProblem, match="cuts through the time axis"):
        moved.view((2, 2, 3, 5))
    assert moved.view((12, 5)).axes == ((WITHIN, GROUPS, BATCH), (5,))
