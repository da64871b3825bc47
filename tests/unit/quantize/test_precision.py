"""Sensitivity finds the layer that minds; the search saves memory within its budget."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.precision.judge import Judge
from sfx.toolchain.compiler.precision.search import ladder, search
from sfx.toolchain.compiler.precision.sensitivity import sensitivity
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.evaluate import readout, run
from sfx.toolchain.ir.program import Program

pytest.importorskip("optuna")


def layers(program: Program, x: IntArray) -> IntArray:
    return ReferenceBackend().run(program, x).sums


def two_paths() -> tuple[g.Graph, np.ndarray, np.ndarray]:
    """8 inputs -> `coarse` (weights that 2 bits hold) and `fine` (weights that need more) -> 4."""
    rng = np.random.default_rng(2)
    coarse = rng.choice([-1.0, 0.0, 0.5], size=(12, 8))
    coarse *= 1 + np.linspace(0, 1e-4, 12)[:, None]  # which 8 bits round
    fine = rng.normal(size=(12, 8))
    nodes = [g.Node("in", g.Input(), (), (8,))]
    for name, w in (("coarse", coarse), ("fine", fine)):
        nodes.append(g.Node(f"{name}.fc", g.Linear(w, np.zeros(12)), (("in",),), (12,)))
        nodes.append(g.Node(name, g.LIF(0.5, 0.3), ((f"{name}.fc",),), (12,), name))
        head = g.Linear(rng.normal(size=(4, 12)), np.zeros(4))
        nodes.append(g.Node(f"{name}.head", head, ((name,),), (4,)))
    both = ("coarse.head", "fine.head")
    nodes.append(g.Node("output", g.Output(), (both,), (4,)))
    graph = lower(g.Graph(tuple(nodes), 5))
    x = (rng.random((60, 5, 8)) < 0.5).astype(np.int64)
    values = run(graph, x, keep=["output", "coarse", "fine"])
    assert values["coarse"].any()
    assert values["fine"].any()
    y = readout(graph, values["output"]).argmax(axis=1)
    assert len(np.unique(y)) > 2
    return graph, x, y


def judge() -> Judge:
    graph, x, y = two_paths()
    return Judge(graph, x[:30], x[30:], y[30:], layers, 62, LOIHI)


def test_the_layer_that_needs_its_bits_ranks_first() -> None:
    j = judge()
    ranked = sensitivity(j, 2)
    order = [s.population for s in ranked]
    assert order.index("fine") < order.index("coarse")
    by_name = {s.population: s for s in ranked}
    assert by_name["fine"].error > 10 * abs(by_name["coarse"].error)
    assert all(s.saved > 0 for s in ranked)
    assert j.float_right == len(j.y), "the labels are the float model's"


def test_the_search_keeps_its_budget_and_saves_memory() -> None:
    j = judge()
    full = j.score({}, effort=1.0)
    found = search(j, sensitivity(j, 3), allowed=3, trials=12)
    assert found.tried == 12
    assert found.score.right >= j.float_right - 3
    assert found.score.memory < full.memory
    assert found.score == j.score(found.layers, effort=1.0)
    assert min(found.layers.values()) < 8


def test_an_impossible_budget_keeps_full_bits() -> None:
    j = judge()
    found = search(j, sensitivity(j, 3), allowed=-len(j.y), trials=3)
    assert found.layers == {}
    assert found.score == j.score({}, effort=1.0)


def test_the_ladder_starts_with_the_cheapest_layers() -> None:
    first, second = ladder(["cheap", "dear"])[:2]
    assert first == {"cheap": 6, "dear": 8}
    assert second == {"cheap": 6, "dear": 6}
