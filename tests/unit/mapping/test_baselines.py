"""The baselines do what the mappers they stand for are described to do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.toolchain.compiler.mapping.baselines import (
    BASELINES,
    sequential,
    split_rule,
    tiles,
    tiles_over,
)
from sfx.toolchain.compiler.mapping.intel import intel
from sfx.toolchain.compiler.mapping.search import Search
from sfx.toolchain.ground.errors import FitError
from sfx.toolchain.ir.placed import Tile
from sfx.toolchain.ir.program import Dense, Input
from sfx.toolchain.targets import load
from tests.unit.mapping.programs import Net, conv, dense, lif, transformer_like

LOIHI2 = load("loihi2")


def search(*limits: tuple[str, int]) -> Search:
    net = Net(2)
    net.add("input", (3, 20, 66), Input())
    net.add("conv", (24, 20, 66), lif(), ("input", conv(24, (3, 20, 66), 3, padding=1)))
    net.add("head", (100,), lif(), ("conv", dense(100, 31680)))
    fields = {"axons_in_per_core": 0} | dict(limits)
    target = replace(LOIHI2, limits=replace(LOIHI2.limits, **fields))
    return Search(net.done("head"), target, {})


def small() -> Search:
    return search(("synapse_words_per_core", 300_000))


def test_sequential_knows_neurons_only() -> None:
    found = sequential(small().parts, small().goals)
    assert found["conv"].parts == (8,)  # 31,680 neurons of 4095 a core, whatever their axes
    assert found["head"].parts == (1,)  # 31,680 x 32 words do not fit: sequential does not look


def test_intel_cuts_columns_into_powers_of_two() -> None:
    found = intel(small().parts, small().goals)
    # 24 x 20 x 8 = 3840 neurons fit a core, 24 x 20 x 16 do not
    assert found["conv"].lengths == (24, 20, 8)
    assert found["conv"].neurons().tolist() == [3840] * 8 + [960]


def test_intel_cuts_channels_only_as_far_as_the_kernel_asks() -> None:
    net = Net(2)
    net.add("input", (256, 14, 14), Input())
    net.add("conv", (512, 14, 14), lif(), ("input", conv(512, (256, 14, 14), 3, padding=1)))
    s = Search(net.done("conv"), LOIHI2, {})
    found = intel(s.parts, s.goals)["conv"]
    # a 3x3 window of 256 channels has 2304 lists: 512, 256, 128, 64 channels of 3 bits ask for
    # 25, 13, 7, 4 words each, and 16000 / 2304 is 6.9
    assert found.lengths is not None
    assert found.lengths[0] == 64
    assert found.blocks == 32  # as in the log of lava-dl's yolo_kp


def test_intel_divides_runs_of_neurons_until_they_fit() -> None:
    """Oxford, log of lava-dl: 256 outputs of 200 inputs at 8 bits and 12000 words are 127 a core,
    MNIST: 128 of 784 at 16000 words are 50.
    """
    for outputs, inputs, words, runs in ((256, 200, 12_000, 127), (128, 784, 16_000, 50)):
        net = Net(2)
        net.add("input", (inputs,), Input())
        weights = 2 * np.resize(np.arange(-128, 128), (outputs, inputs))
        net.add("head", (outputs,), lif(), ("input", Dense(weights)))
        limits = replace(LOIHI2.limits, synapse_words_per_core=words)
        s = Search(net.done("head"), replace(LOIHI2, limits=limits), {})
        assert intel(s.parts, s.goals)["head"].lengths == (runs,)


def test_tiles_keep_channels_whole() -> None:
    found = tiles(small().parts, small().goals)
    assert found["conv"].parts[0] == 1
    assert found["conv"].blocks == 8  # no fewer hold 31,680 neurons of 4095 a core


def test_split_rule_is_the_scarcest_resource() -> None:
    found = split_rule(small().parts, small().goals)
    # 31,680 axons of ceil((15 n + 10) / 64) words <= 300,000: 9 words, n <= 37
    assert found["head"].parts == (3,)


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
    # 27 lists of one word, or of two where there are three or six channels: 2 + 1, 4 + 2
    for start, stop, lists in ((0, 64, 1), (0, 65, 1), (60, 130, 2), (0, 384, 2)):
        assert meter.words(Tile((384,), (start,), (stop,))) == 27 * lists
    assert meter.words(Tile((6, 8, 8), (0, 0, 0), (2, 8, 8))) == 27
