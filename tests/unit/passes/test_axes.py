"""Labelled axes against numpy: the pattern they report is the one numpy's views produce."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.axes import Axes, NotAView


def apply(x: np.ndarray, node: g.Node) -> np.ndarray:
    match node.op:
        case g.Reshape():
            return x.reshape(node.shape)
        case g.Permute(order=order):
            return x.transpose(order)
        case g.Expand():
            return np.broadcast_to(x, node.shape)
        case g.ReduceSum(axes=axes):
            return x.sum(axes)
    raise AssertionError(node.op)


@st.composite
def chains(draw: st.DrawFn) -> tuple[tuple[int, ...], list[g.Node]]:
    """A source shape and a chain of views that really follows its factors."""
    source = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=4)))
    shape, nodes = source, []
    for i in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["merge", "split", "permute", "expand", "reduce"]))
        name = f"n{i}"
        if kind == "merge" and len(shape) > 1:
            at = draw(st.integers(0, len(shape) - 2))
            shape = (*shape[:at], shape[at] * shape[at + 1], *shape[at + 2 :])
            nodes.append(g.Node(name, g.Reshape(), ((),), shape))
        elif kind == "split":
            at = draw(st.integers(0, len(shape) - 1))
            factor = draw(st.sampled_from([f for f in (1, 2, 3) if shape[at] % f == 0]))
            shape = (*shape[:at], factor, shape[at] // factor, *shape[at + 1 :])
            nodes.append(g.Node(name, g.Reshape(), ((),), shape))
        elif kind == "permute":
            order = tuple(draw(st.permutations(range(len(shape)))))
            shape = tuple(shape[o] for o in order)
            nodes.append(g.Node(name, g.Permute(order), ((),), shape))
        elif kind == "expand" and 1 in shape:
            at = shape.index(1)
            shape = (*shape[:at], draw(st.integers(2, 3)), *shape[at + 1 :])
            nodes.append(g.Node(name, g.Expand(), ((),), shape))
        elif kind == "reduce" and len(shape) > 1:
            at = draw(st.integers(0, len(shape) - 1))
            shape = (*shape[:at], *shape[at + 1 :])
            nodes.append(g.Node(name, g.ReduceSum((at,)), ((),), shape))
    return source, nodes


@given(chains())
def test_pattern_equals_numpy(case: tuple[tuple[int, ...], list[g.Node]]) -> None:
    source, nodes = case
    x = np.arange(1, np.prod(source) + 1, dtype=np.int64).reshape(source)
    y, axes = x, Axes.of(source)
    try:
        for node in nodes:
            y, axes = apply(y, node), axes.then(node)
    except NotAView:
        return  # a reshape across factors (after merges of 2x3 split as 3x2): refused, not wrong
    assert axes.shape == y.shape
    via_matrix = axes.structured(axes.repeat).matrix() @ x.ravel()
    assert np.array_equal(via_matrix, y.ravel())
    if axes.is_permutation:
        view = axes.view()
        viewed = x.ravel() if view is None else view.apply(x.ravel())
        assert np.array_equal(viewed, y.ravel())


def test_reshape_across_axes_is_refused() -> None:
    axes = Axes.of((2, 3)).then(g.Node("p", g.Permute((1, 0)), ((),), (3, 2)))
    with pytest.raises(NotAView, match="cuts across axes"):
        axes.reshape((2, 3))
