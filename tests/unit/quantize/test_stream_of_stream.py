"""A relay of real values that reads another one: their scales are a power of two apart."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.compiler.quantize.weighted import _power_within
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from tests.graphs import Builder


@pytest.mark.parametrize("exponent", [-3, -1, 0, 1, 2, 5])
def test_rounding_makes_no_scale_half_as_large(exponent: int) -> None:
    power = 2.0**exponent
    for ratio in (power, power * (1 - 1e-15), power * (1 + 1e-15), 1.9 * power):
        assert _power_within(ratio) == power
    assert _power_within(0.99 * power) == power / 2


def test_a_mean_of_a_stream_keeps_its_weights() -> None:
    """In one of these the quotient of the scales is just below 4: the weights were all 0."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        b = Builder()
        b.add("input", g.Input(), shape=(6,))
        b.add("fc", g.Linear(rng.normal(size=(8, 6)), rng.normal(size=8)), "input", shape=(8,))
        b.add("wide", g.Relay(), "fc", shape=(8,))
        mean = np.kron(np.eye(2), np.full((1, 4), 0.25))
        b.add("mean", g.Linear(mean, np.zeros(2)), "wide", shape=(2,))
        b.add("current", g.Relay(), "mean", shape=(2,))
        b.add("lif", g.LIF(0.5, 0.5), "current", shape=(2,))
        b.add("head", g.Linear(np.eye(2), np.zeros(2)), "lif", shape=(2,))
        b.add("output", g.Output("sum"), "head", shape=(2,))
        graph = g.Graph(g.topological(tuple(b.nodes.values())), 4)
        made = quantize(graph, rng.integers(0, 2, (8, 4, 6)))
        (reads,) = made.program.incoming["current"]
        assert isinstance(reads.connection, p.Dense)
        assert np.array_equal(reads.connection.weight << reads.weight_exp, 4 * mean), seed
        (record,) = (r for r in made.records if r.population == "current")
        assert record.weight_error == 0
