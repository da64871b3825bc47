"""Following T and B through views, against views of real arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.frontends.tracing.dims import BATCH, TIME, Dims, TimeProblem


def factors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@st.composite
def views(draw):
    """Dims with T and B anywhere among the axes, and another shape of the same size."""
    steps, batch = draw(st.integers(2, 4)), draw(st.integers(2, 3))
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
    dims = Dims((), steps, batch).with_axes(tuple(a) for a in axes)
    shape, left = [], math.prod(dims.shape)
    for choice in draw(st.lists(st.integers(0, 20), max_size=4)):
        shape.append(factors(left)[choice % len(factors(left))])
        left //= shape[-1]
    shape.append(left)
    return dims, tuple(shape)


def one_step(dims: Dims, t: int, b: int) -> np.ndarray:
    """The tensor's values at step t of sample b, in C order, as flat indices of the tensor."""
    flat = [f for axis in dims.axes for f in axis]
    index = np.arange(math.prod(dims.shape)).reshape([dims.length(f) for f in flat])
    return index[tuple({TIME: t, BATCH: b}.get(f, slice(None)) for f in flat)].ravel()


@given(views())
def test_a_view_keeps_every_steps_values_in_order(case):
    dims, shape = case
    try:
        after = dims.view(shape)
    except TimeProblem:
        return
    assert after.shape == shape
    assert math.prod(after.step_shape) == math.prod(dims.step_shape)
    for t in range(dims.steps):
        for b in range(dims.batch):
            np.testing.assert_array_equal(one_step(after, t, b), one_step(dims, t, b))


@given(views())
def test_a_view_to_its_own_shape_is_always_possible(case):
    dims, _ = case
    assert dims.view(dims.shape).step_shape == dims.step_shape


def test_the_usual_views():
    x = Dims((), 4, 2).with_axes([(TIME,), (BATCH,), (3,), (8,), (8,)])
    assert x.step_shape == (3, 8, 8)
    merged = x.view((8, 3, 8, 8))
    assert merged.axes[0] == (TIME, BATCH)
    assert merged.view((4, 2, 3, 64)).axes == ((TIME,), (BATCH,), (3,), (64,))
    joint = x.with_axes([(BATCH,), (TIME,), (16,), (4,)]).view((2, 64, 4))
    assert joint.axes == ((BATCH,), (TIME, 16), (4,))
    assert joint.step_shape == (16, 4)
    assert joint.view((2, 4, 16, 4)).axes[1] == (TIME,)


@pytest.mark.parametrize("shape", [(2, 2, 2, 192), (8, 3, 2, 32), (192, 8)])
def test_cutting_through_time_or_not(shape):
    x = Dims((), 4, 2).with_axes([(TIME,), (BATCH,), (3,), (8,), (8,)])
    if shape == (2, 2, 2, 192):
        with pytest.raises(TimeProblem, match="cuts through the time axis"):
            x.view(shape)
    else:
        assert math.prod(x.view(shape).step_shape) == 192
