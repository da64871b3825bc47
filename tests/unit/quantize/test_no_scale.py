"""A population that no scale fits: the message has the numbers, and its remedies work."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ground.errors import UnsupportedError
from sfx.toolchain.ir import graph as g
from tests.graphs import with_op
from tests.neurons import CUBA, net

SOFT = g.IF(0.5, subtract=True)
HEAVY = 128
"""Times the weights: what arrives in a step is a thousand thresholds."""


def heavy(timesteps: int) -> g.Graph:
    graph = net(SOFT, timesteps=timesteps, high=255, seed=3, dyadic=False)
    weight = HEAVY * graph["fc"].op.weight  # type: ignore[attr-defined]
    return with_op(graph, "fc", weight=weight)


def refused(graph: g.Graph) -> str:
    with pytest.raises(UnsupportedError) as error:
        quantize(lower(graph))
    assert error.value.code == "SFX-E310"
    return str(error.value)


def test_the_numbers_are_those_of_the_population() -> None:
    said = refused(heavy(timesteps=12))
    weight = heavy(timesteps=12)["fc"].op.weight  # type: ignore[attr-defined]
    assert "cell: no scale fits the registers over T = 12 steps: threshold 0.5, the reset " in said
    assert "subtracts 0.5, " in said
    assert f"largest weight {np.abs(weight).max():g}, largest bias 0.25, " in said
    assert f"input {255 * np.abs(weight).sum(1).max():g} a step (of event counts up to 255)" in said


def test_what_is_said_to_help_helps() -> None:
    graph = heavy(timesteps=8)
    said = refused(graph)
    found = re.search(r"--counts (\d+) fits, they may reach 255 here", said)
    assert found is not None
    most = int(found[1])
    bounded = with_op(graph, "input", high=most)
    quantize(lower(bounded), options=Options(counts=most))
    refused(with_op(graph, "input", high=2 * most + 1))
    found = re.search(r"fewer time steps: (\d+) fit", said)
    assert found is not None
    steps = int(found[1])
    quantize(lower(replace(graph, timesteps=steps)))
    refused(replace(graph, timesteps=2 * steps))
    assert "a faster decay" in said


def test_what_would_not_help_is_not_said() -> None:
    for graph in (
        with_op(net(SOFT, timesteps=8), "cell", threshold=1e9),
        with_op(net(replace(CUBA, threshold=0.5), timesteps=8), "cell", threshold=1e9),
        with_op(net(g.LIF(0.5, 1.0), timesteps=8, high=3), "cell", threshold=1e9),
    ):
        said = refused(graph)
        assert "retrain" in said
        assert not re.search("--counts|fewer|hard reset|decay", said)
