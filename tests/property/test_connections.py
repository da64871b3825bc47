"""Two witnesses of every connection: the reference's direct formula and `connections.matrix`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.backends.reference.synapses import build
from sfx.toolchain.ground.arith import scale_exponent
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.connections import matrix, value_bounds
from tests.strategies import CONNECTIONS, random_projection

SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("kind", CONNECTIONS)
@given(seed=SEEDS)
def test_formula_equals_matrix(kind: str, seed: int) -> None:
    j, pre, post = random_projection(seed, kind)
    assert not list(j.connection.faults(pre.size, post.size))
    assert j.pre_view is None or not list(j.pre_view.faults(pre.size))
    rng = np.random.default_rng(seed)
    s = rng.integers(pre.low, pre.high, (3, *pre.shape), endpoint=True)
    s *= rng.random(s.shape) < 0.5
    got = build(j, pre, post, LOIHI)(s)
    total = (matrix(j, pre.size, post.size) @ s.reshape(3, -1).T).T
    expected = scale_exponent(np.asarray(total), j.weight_exp).reshape(3, *post.shape)
    assert np.array_equal(got, expected)
    low, high = value_bounds(j, pre.size, post.size, pre.low, pre.high)
    assert np.all(low <= total)
    assert np.all(total <= high)


def test_the_comparison_covers_every_option() -> None:
    """Views, exponents of both signs, payloads, strides, padding, dilation, groups; no silence."""
    seen: dict[str, int] = dict.fromkeys(
        (
            "pre_view", "post_view", "up", "down", "payload", "stride", "padding", "dilation",
            "groups", "sums", "broadcasts", "moves", "empty rows", "silent",
        ),
        0,
    )  # fmt: skip
    made = 0
    for seed in range(200):
        for kind in CONNECTIONS:
            j, pre, post = random_projection(seed, kind)
            made += 1
            seen["pre_view"] += j.pre_view is not None
            seen["post_view"] += j.post_view is not None
            seen["up"] += j.weight_exp > 0
            seen["down"] += j.weight_exp < 0
            seen["payload"] += pre.graded
            seen["silent"] += not matrix(j, pre.size, post.size).count_nonzero()
            match j.connection:
                case p.Conv2d() as c:
                    seen["stride"] += max(c.stride) > 1
                    seen["padding"] += max(c.padding) > 0
                    seen["dilation"] += max(c.dilation) > 1 and max(c.weight.shape[2:]) > 1
                    seen["groups"] += c.groups > 1
                case p.Structured() as c:
                    seen["sums"] += any(a not in c.post for a in c.pre)
                    seen["broadcasts"] += any(a not in c.pre for a in c.post)
                    kept = [a for a in c.pre if a in c.post]
                    seen["moves"] += kept != [a for a in c.post if a in c.pre]
                case p.Sparse() as c:
                    seen["empty rows"] += bool(np.any(np.diff(c.indptr) == 0))
    assert seen.pop("silent") < 0.1 * made
    assert min(seen.values()) >= 20, seen


def test_a_wrong_weight_is_seen() -> None:
    """The comparison can fail: one weight of the matrix differs."""
    j, pre, post = random_projection(7, "dense")
    m = matrix(j, pre.size, post.size).toarray()
    m[0, 0] += 2
    ones = np.ones((1, *pre.shape), dtype=np.int64)
    expected = scale_exponent(m.sum(axis=1), 0)
    free = p.Projection("j", "pre", "post", j.connection, "a_in", 0, 0, 1, j.pre_view, j.post_view)
    assert not np.array_equal(build(free, pre, post, LOIHI)(ones).ravel(), expected)
