"""FanIn against the matrix of the connection, for every kind, with views."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfx.toolchain.ir.connections import matrix
from sfx.toolchain.ir.fan_in import FanIn
from sfx.toolchain.ir.program import Connection, Conv2d, Dense, Projection, Structured, View
from tests.unit.mapping.programs import sparse


def check(projection: Projection, pre: int, post: int, seed: int = 0) -> int:
    """Compare on random subsets of the post neurons; the number of synapses seen."""
    rng = np.random.default_rng(seed)
    fans = FanIn(projection, pre, post)
    rows = (matrix(projection, pre, post) != 0).toarray()
    seen = 0
    for share in (0.2, 0.6, 1.0):
        chosen = np.flatnonzero(rng.random(post) < share)
        got = np.zeros(pre, dtype=np.int64)
        driven, synapses = fans.into(chosen)
        assert np.unique(driven).size == driven.size
        assert (synapses > 0).all()
        got[driven] = synapses
        np.testing.assert_array_equal(got, rows[chosen].sum(axis=0))
        seen += int(got.sum())
    return seen


def plain(connection: Connection, **views: View) -> Projection:
    return Projection("a->b", "a", "b", connection, **views)


def random_weights(shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(-3, 4, shape).astype(np.int64)


def test_dense() -> None:
    assert check(plain(Dense(random_weights((7, 5), 1))), 5, 7)


def test_sparse() -> None:
    assert check(plain(sparse(9, 13, 0.4)), 13, 9)


@settings(max_examples=40, deadline=None)
@given(
    groups=st.sampled_from([1, 2]),
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 2)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    seed=st.integers(0, 1000),
)
def test_convolution(
    groups: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    seed: int,
) -> None:
    in_shape = (4, 6, 7)
    out = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(in_shape[1:], padding, dilation, kernel, stride, strict=True)
    )
    weight = random_weights((6, 4 // groups, *kernel), seed)
    c = Conv2d(weight, in_shape, (6, *out), stride, padding, dilation, groups)
    assert check(plain(c), 4 * 6 * 7, 6 * out[0] * out[1], seed)


PATTERNS = {
    "identity": ((("c", 3), ("n", 4)), (("c", 3), ("n", 4))),
    "transpose": ((("c", 3), ("n", 4)), (("n", 4), ("c", 3))),
    "broadcast": ((("c", 3),), (("n", 4), ("c", 3))),
    "reduce": ((("h", 2), ("c", 3), ("n", 4)), (("h", 2), ("n", 4))),
    "coincidences": ((("n", 4), ("h", 2), ("i", 3)), (("h", 2), ("n", 4), ("i", 3), ("j", 2))),
    "everything to everything": ((("a", 3),), (("b", 4),)),
    "to one": ((("a", 3),), ()),
    "from one": ((), (("b", 4),)),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_structured(name: str) -> None:
    pre, post = PATTERNS[name]
    sizes = [int(np.prod([n for _, n in axes], dtype=np.int64)) for axes in (pre, post)]
    assert check(plain(Structured(pre, post)), *sizes)


def test_a_weight_of_zero_is_no_synapse() -> None:
    assert check(plain(Structured((("a", 3),), (("a", 3),), 0)), 3, 3) == 0


def test_views_on_both_sides() -> None:
    c = Conv2d(random_weights((3, 2, 1, 1), 4), (2, 6, 1), (3, 6, 1))
    views = {"pre_view": View((6, 2), (1, 0)), "post_view": View((3, 2, 3), (1, 2, 0))}
    assert check(plain(c, **views), 12, 18)
