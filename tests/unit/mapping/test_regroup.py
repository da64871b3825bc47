"""Regrouping: fewer messages, never an illegal core; and what traffic counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sfx.toolchain.compiler.mapping.flows import Flows, flows
from sfx.toolchain.compiler.mapping.place import MappingOptions, place
from sfx.toolchain.compiler.mapping.regroup import Room, regroup
from sfx.toolchain.compiler.mapping.search import COARSE, LEVELS, Search
from sfx.toolchain.compiler.mapping.traffic import traffic
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ir.program import Input
from sfx.toolchain.targets import load
from tests.unit.mapping.programs import Net, conv, dense, lif, transformer_like

LOIHI2 = load("loihi2")


def random_flows(seed: int, pieces: int, hosts: int = 1) -> Flows:
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 20, pieces + hosts)
    drivers = rng.integers(1, 20, (pieces + hosts, pieces)) * (
        rng.random((pieces + hosts, pieces)) < 0.3
    )
    return Flows(
        sparse.csr_matrix(np.minimum(drivers, size[:, None])), size, rng.random(pieces + hosts)
    )


def messages(flow: Flows, core: IntArray) -> float:
    """By the definition: each spike once to every other core that its piece drives."""
    drivers = flow.drivers.toarray()
    total = 0.0
    for s in range(len(flow.size)):
        for c in np.unique(core):
            if s < core.size and core[s] == c:
                continue
            total += flow.rate[s] * min(flow.size[s], drivers[s, core == c].sum())
    return total


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 24), st.integers(1, 6))
def test_traffic_is_what_the_definition_says(seed: int, pieces: int, cores: int) -> None:
    flow = random_flows(seed, pieces)
    core = np.random.default_rng(seed).integers(0, cores, pieces)
    core = np.unique(core, return_inverse=True)[1].astype(np.int64)
    assert traffic(flow, core, int(core.max()) + 1).packets == pytest.approx(messages(flow, core))


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 24), st.integers(2, 6), st.floats(1.0, 2.0))
def test_regrouping_saves_messages_and_keeps_every_limit(
    seed: int, pieces: int, cores: int, slack: float
) -> None:
    flow = random_flows(seed, pieces)
    rng = np.random.default_rng(seed)
    core = np.unique(rng.integers(0, cores, pieces), return_inverse=True)[1].astype(np.int64)
    used = int(core.max()) + 1
    share, time = rng.random((pieces, 2)), rng.random(pieces)
    load_of = np.array([share[core == c].sum(axis=0) for c in range(used)])
    share /= max(1.0, load_of.max())  # legal, some cores full
    spent = np.array([time[core == c].sum() for c in range(used)])
    most = slack * spent.mean()
    group = rng.integers(0, 3, pieces)
    kinds = max(np.unique(group[core == c]).size for c in range(used))
    room = Room(share, time, group, kinds, most)
    found = regroup(core, room, flow)
    again = regroup(core, room, flow)
    assert np.array_equal(found, again)
    assert messages(flow, found) <= messages(flow, core) + 1e-9
    for c in range(used):
        assert (share[found == c].sum(axis=0) <= 1 + 1e-6).all()
        assert np.unique(group[found == c]).size <= kinds
        assert time[found == c].sum() <= max(most, spent[c]) + 1e-6


def test_two_pairs_that_talk_find_together_by_a_swap() -> None:
    drivers = np.zeros((4, 4), dtype=np.int64)
    drivers[0, 2] = drivers[1, 3] = 5  # 0 drives 2, 1 drives 3
    flow = Flows(sparse.csr_matrix(drivers), np.full(4, 5), np.ones(4))
    core = np.array([0, 1, 1, 0])
    full = np.full((4, 1), 0.5)  # two a core, so nothing can only move
    assert messages(flow, core) == 10
    found = regroup(core, Room(full, np.zeros(4), np.zeros(4, np.int64), 1, 1.0), flow)
    assert messages(flow, found) == 0
    assert found[0] == found[2] != found[1] == found[3]


def test_pieces_between_the_same_two_are_counted_once() -> None:
    net = Net(2)
    net.add("input", (4,), Input())
    net.add("layer", (3,), lif(), ("input", dense(3, 4)), ("input", dense(3, 4)))
    search = Search(net.done("layer"), LOIHI2, {"input": 0.5})
    part = search.parts.partition(search.goals)
    flow = flows(part, search.goals.rate)
    assert flow.drivers.toarray().tolist() == [[0], [4]]  # the host's 4 neurons, not 8
    assert traffic(flow, np.zeros(1, dtype=np.int64), 1).packets == 4 * 0.5


# --- levelling --------------------------------------------------------------------------------


def test_fillers_are_cut_finer_than_what_takes_time() -> None:
    net = Net(2)
    net.add("input", (4, 16, 16), Input())
    net.add("idle", (4, 16, 16), lif(), ("input", conv(4, (4, 16, 16), 1, groups=4)))
    net.add("busy", (64, 16, 16), lif(), ("input", conv(64, (4, 16, 16), 5, padding=2)))
    search = Search(net.done("busy"), LOIHI2, {"input": 1.0})
    most = 256 * search.goals.seconds_per_neuron["busy"]
    goals = replace(search.goals, most_seconds=most, largest_filler=0.1)
    tiles = {n: int(g.neurons().max()) for n, g in search.parts.plan(goals).items()}
    assert tiles["busy"] == 256  # as long as a core may be busy
    assert tiles["idle"] <= 0.1 * 4095 < 1024


def test_no_levelled_map_is_expected_to_be_quicker_than_the_latency_map() -> None:
    search = Search(transformer_like(), LOIHI2, {})
    few, quick = search.best("cores"), search.best("latency")
    budget = LOIHI2.limits.cores
    tries = [search.levelled(few, budget, *level) for level in LEVELS[:COARSE]]
    steps = [search.expected(search.regrouped(t, t.busiest)).step for t in tries]
    assert search.expected(quick).step <= min(steps) + 1e-12
    placed = place(transformer_like(), LOIHI2, MappingOptions("latency"))
    assert placed.blocks == place(transformer_like(), LOIHI2, MappingOptions("latency")).blocks
