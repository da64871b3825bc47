"""The baselines do what the mappers they stand for are described to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sfx.toolchain.compiler.mapping.baselines import (
    BASELINES,
    halving,
    sequential,
    split_rule,
    tiles,
    tiles_over,
)
from sfx.toolchain.compiler.mapping.search import Search
from sfx.toolchain.ground.errors import FitError
from sfx.toolchain.ir.placed import Tile
from sfx.toolchain.ir.program import Input
from sfx.toolchain.targets import load
from tests.unit.mapping.programs import Net, conv, dense, lif, transformer_like

LOIHI2 = load("loihi2")


def search(*limits: tuple[str, int]) -> Search:
    net = Net(2)
    net.add("input", (3, 20, 66), Input())
    net.add("conv", (24, 20, 66), lif(), ("input", conv(24, (3, 20, 66), 3, padding=1)))
    net.add("head", (100,), lif(), ("conv", dense(100, 31680)))
    target = replace(LOIHI2, limits=replace(LOIHI2.limits, **dict(limits)))
    return Search(net.done("head"), target, {})


def small() -> Search:
    return search(("synapse_words_per_core", 200_000))


def test_sequential_knows_neurons_only() -> None:
    found = sequential(small().parts, small().goals)
    assert found["conv"].parts == (10,)  # 31,680 neurons of 3168 a core, whatever their axes
    assert found["head"].parts == (1,)  # 31,680 x 26 words do not fit: sequential does not look


def test_halving_cuts_the_last_axis_into_powers_of_two() -> None:
    found = halving(small().parts, small().goals)
    # 24 x 20 x 4 = 1920 neurons fit, 24 x 20 x 8 = 3840 do not
    assert found["conv"].parts == (1, 1, 17)


def test_tiles_keep_channels_whole() -> None:
    found = tiles(small().parts, small().goals)
    assert found["conv"].parts[0] == 1
    assert found["conv"].blocks == 10  # no fewer hold 31,680 neurons of 3168 a core


def test_split_rule_is_the_scarcest_resource() -> None:
    found = split_rule(small().parts, small().goals)
    # an axon has a header and 8 bits a neuron: 31,680 axons x (1 + n / 4) <= 200,000: n <= 20
    assert found["head"].parts == (5,)


def test_tiles_over_more_cores_go_to_who_takes_time() -> None:
    s = small()
    few = sum(g.blocks for g in tiles(s.parts, s.goals).values())
    more = tiles_over(s.parts, s.goals, 3 * few)
    assert few < sum(g.blocks for g in more.values()) <= 3.5 * few
    assert tiles_over(s.parts, s.goals, 0) == tiles(s.parts, s.goals)


def test_what_does_not_fit_is_refused_by_name() -> None:
    tight = search()
    with pytest.raises(FitError, match="head"):
        tiles(tight.parts, tight.goals)


@pytest.mark.parametrize("name", BASELINES)
def test_every_neuron_is_in_one_piece(name: str) -> None:
    s = Search(transformer_like(), LOIHI2, {})
    part = s.parts.measure(BASELINES[name](s.parts, s.goals), s.goals)
    for p in s.parts.meters:
        mine = [x.tile.neurons for x in part.pieces if x.population == p]
        assert sum(mine) == s.parts.meters[p].population.size


def test_words_of_a_flat_range_are_those_of_its_channels() -> None:
    net = Net(2)
    net.add("input", (3, 8, 8), Input())
    net.add("conv", (6, 8, 8), lif(), ("input", conv(6, (3, 8, 8), 3, padding=1)))
    s = Search(net.done("conv"), LOIHI2, {})
    meter = s.parts.meters["conv"]
    kernel = -(-3 * 9 * 8 // 32)  # words of one channel: 27 weights of 8 bits
    for start, stop, channels in ((0, 64, 1), (0, 65, 2), (60, 130, 3), (0, 384, 6)):
        words = meter.words(Tile((384,), (start,), (stop,)))
        assert words == -(-channels * 27 * 8 // 32) <= channels * kernel
    assert meter.words(Tile((6, 8, 8), (0, 0, 0), (2, 8, 8))) == -(-2 * 27 * 8 // 32)
