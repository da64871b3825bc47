"""Which of Lava's connection processes a projection becomes; needs no Lava."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.backends.lava.choose import choose
from sfx.toolchain.ground.errors import BackendError
from sfx.toolchain.ir import program as p

EVEN = np.array([[2, -4], [6, 8]])
PRE = p.Population("pre", (2, 28, 28), p.Input(), phase=0)


def conv(channels: int = 2, size: int = 28, kernel: int = 3, groups: int = 1) -> p.Conv2d:
    weight = np.full((channels, channels // groups, kernel, kernel), 2, dtype=np.int64)
    weight[0, 0, 0, 0] = -2
    shape = (channels, size, size)
    pad = (kernel // 2, kernel // 2)
    return p.Conv2d(weight, shape, shape, padding=pad, groups=groups)


def joint(connection: p.Connection, **fields: object) -> p.Projection:
    return p.Projection("j", "pre", "post", connection, **({"delay": 1} | fields))


@pytest.mark.parametrize(
    ("connection", "delay", "kind"),
    [
        (p.Dense(EVEN), 1, "Dense"),
        (p.Dense(EVEN), 2, "DelayDense"),
        (p.Dense(EVEN), 64, "DelayDense"),
        (p.Structured((("n", 2),), (("n", 2),)), 1, "Sparse"),
        (p.Structured((("n", 2),), (("n", 2),)), 2, "DelaySparse"),
        (p.Sparse(np.array([0, 1]), np.array([0]), np.array([3])), 1, "Sparse"),
        (conv(), 1, "Conv"),
        (conv(), 2, "DelaySparse"),
        (conv(size=8), 1, "Sparse"),
        (conv(kernel=1), 1, "Sparse"),
        (conv(channels=128, groups=128), 1, "Sparse"),
        (conv(channels=127, groups=127), 1, "Conv"),
    ],
)
def test_kind(connection: p.Connection, delay: int, kind: str) -> None:
    assert choose(joint(connection, delay=delay), PRE) == kind


def test_a_permuted_dense_becomes_its_matrix() -> None:
    view = p.View((1, 2), (1, 0))
    assert choose(joint(p.Dense(EVEN), pre_view=view), PRE) == "Sparse"


def test_conv_is_left_where_it_has_no_rule() -> None:
    assert choose(joint(conv(), weight_exp=-1), PRE) == "Sparse"
    assert choose(joint(conv(), pre_view=p.View((2, 784), (0, 1))), PRE) == "Sparse"
    wide = replace(conv(), padding=(128, 1))
    assert choose(joint(wide), PRE) == "Sparse"


def test_conv_is_kept_where_only_its_rule_holds() -> None:
    """An odd weight of mixed sign, a sum beyond 24 bits: the reference's rule is Conv's."""
    odd = conv(size=8)
    odd.weight[0, 0, 0, 1] = 3
    assert choose(joint(odd), PRE) == "Conv"
    loud = replace(PRE, low=0, high=1 << 22)
    assert choose(joint(conv(size=8)), loud) == "Conv"


@pytest.mark.parametrize("delay", [-1, 0, 65])
def test_delays_that_lava_cannot_run_are_refused(delay: int) -> None:
    with pytest.raises(BackendError) as caught:
        choose(joint(p.Dense(EVEN), delay=delay), PRE)
    assert caught.value.code == "SFX-E520"
    assert str(delay) in str(caught.value)
