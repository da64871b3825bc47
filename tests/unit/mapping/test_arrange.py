"""Cores on the mesh: against every placement there is, where these can be counted."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sfx.toolchain.compiler.mapping.arrange import arrange, slots, with_host
from sfx.toolchain.compiler.mapping.traffic import Traffic
from sfx.toolchain.targets import load

LIMITS = replace(load("loihi2").limits, cores_per_chip=8)
"""Two routers of four cores: 8! / 3! placements of five cores."""


def hops(sent: Traffic, slot: np.ndarray) -> float:
    """Messages times the links of their XY routes."""
    place = slots(LIMITS, 1)
    x, y = place.x[slot], place.y[slot]
    apart = np.abs(x[:, None] - x) + np.abs(y[:, None] - y)
    return float((sent.between.toarray() * apart).sum() + sent.from_host @ (x + y))


def random_traffic(cores: int, seed: int) -> Traffic:
    """Whole numbers of messages between most pairs, and from the host."""
    draw = np.random.default_rng(seed)
    between = draw.integers(0, 9, (cores, cores)) * (draw.random((cores, cores)) < 0.7)
    np.fill_diagonal(between, 0)
    host = draw.integers(0, 3, cores).astype(float)
    return Traffic(sparse.csr_matrix(between.astype(float)), host)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_few_cores_lie_as_well_as_they_can(seed: int) -> None:
    sent = random_traffic(5, seed)
    place, slot = arrange(sent, LIMITS, 1, seed=0)
    assert len(set(slot.tolist())) == 5
    assert set(slot.tolist()) <= set(range(len(place)))
    best = min(hops(sent, np.array(p)) for p in permutations(range(8), 5))
    assert hops(sent, slot) == best


def test_a_worse_placement_exists() -> None:
    """The property above could fail: the order of the cores is not the best."""
    sent = random_traffic(5, 2)
    assert hops(sent, np.arange(5)) > hops(sent, arrange(sent, LIMITS, 1, seed=0)[1])


@pytest.mark.parametrize("cores", [1, 4])
def test_cores_that_do_not_talk_stay_in_order(cores: int) -> None:
    silent = Traffic(sparse.csr_matrix((cores, cores)), np.zeros(cores))
    assert with_host(silent).nnz == 0
    assert arrange(silent, LIMITS, 1, seed=0)[1].tolist() == list(range(cores))
