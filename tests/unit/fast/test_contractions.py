"""Coincidences and products that are not simulated: found, and counted neuron by neuron."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.backends.fast.plan import contractions
from sfx.backends.fast.run import tallies
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.find_facts import with_facts
from sfx.toolchain.targets import load
from tests import graphs
from tests.unit.fast.test_equal import REFERENCE, differences

HEADS, TOKENS, WIDTH = 2, 3, 4


def attention(bias: int = 0, high: int = WIDTH) -> p.Program:
    """q, k, v from the input; c = sum of q AND k; y = sum of c * v. A bias drives q and k."""
    size = HEADS * TOKENS * WIDTH
    shape = (("h", HEADS), ("d", WIDTH), ("n", TOKENS))
    weight = np.random.default_rng(0).integers(-80, 90, (3, size, size)) * 2
    lif = p.LIF(4095, 2048, 40, np.full((), bias, np.int64), 3)
    both, pairs = p.LIF(4095, 4095, 1, reset=False), (HEADS, TOKENS, WIDTH, TOKENS)
    queries = (("h", HEADS), ("n", TOKENS), ("d", WIDTH), ("m", TOKENS))
    keys = (("h", HEADS), ("m", TOKENS), ("d", WIDTH), ("n", TOKENS))
    counts = (("h", HEADS), ("n", TOKENS), ("m", TOKENS))
    gated = (*counts, ("d", WIDTH))
    populations = (
        p.Population("in", (size,), p.Input()),
        *(p.Population(n, (HEADS * WIDTH, TOKENS), lif) for n in "qkv"),
        p.Population("and", pairs, both),
        p.Population("c", (HEADS, TOKENS, TOKENS), p.Graded(), 0, WIDTH),
        p.Population("times", (HEADS, TOKENS, TOKENS, WIDTH), p.Product(), 0, high),
        p.Population("y", (HEADS, WIDTH, TOKENS), p.Graded(), 0, WIDTH * TOKENS),
    )
    projections = (
        *(p.Projection(f"in{n}", "in", n, p.Dense(w)) for n, w in zip("qkv", weight, strict=True)),
        p.Projection("qa", "q", "and", p.Structured(shape, queries)),
        p.Projection("ka", "k", "and", p.Structured(shape, keys)),
        p.Projection("ac", "and", "c", p.Structured(queries, counts)),
        p.Projection("ct", "c", "times", p.Structured(counts, gated), "a_in1"),
        p.Projection(
            "vt", "v", "times",
            p.Structured((("h", HEADS), ("d", WIDTH), ("m", TOKENS)), gated), "a_in2",
        ),
        p.Projection("ty", "times", "y", p.Structured(gated, shape)),
    )  # fmt: skip
    program = p.Program(populations, projections, 3, p.Readout("y", 1.0, (0,) * size))
    return with_facts(BalanceDelays(62).run(program))


def events(samples: int) -> np.ndarray:
    size = HEADS * TOKENS * WIDTH
    return np.random.default_rng(1).integers(0, 2, (samples, 3, size))


@pytest.mark.parametrize("bias", [0, 3000])
def test_attention_is_contracted_and_counted(bias: int) -> None:
    program, x = attention(bias), events(5)
    assert set(contractions.planned(program)) == {"and", "times"}
    want, got = REFERENCE.run(program, x), FastBackend().run(program, x)
    assert differences(want, got) == []
    assert want.counts.events["times"].any()
    first = want.counts.active["and"][0]
    now = want.counts.active["and"][0] - want.counts.events["and"][0]
    assert first.any()
    assert now.any()


def test_what_was_sent_before_the_first_step_counts() -> None:
    """A bias makes q and k fire before their phase, so coincidence neurons start with a state."""
    program = attention(3000)
    fast = FastBackend()
    fast.run(program, events(1))
    assert fast._ready is not None
    assert {"q", "k"} <= set(fast._ready.initial.sent)


def test_many_samples_leave_the_narrow_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    program, x = attention(), events(600)
    moved: list[int] = []
    true = tallies.PairTally._totals

    def totals(self: tallies.PairTally) -> np.ndarray:
        moved.append(1)
        return true(self)

    monkeypatch.setattr(tallies.PairTally, "_totals", totals)
    want, got = REFERENCE.run(program, x), FastBackend().run(program, x)
    assert differences(want, got) == []
    assert want.counts.events["in"].max() > 255
    assert moved


def test_a_range_that_is_too_small_is_not_trusted() -> None:
    """The product's own values are never looked at, so its declared range must follow."""
    assert "times" not in contractions.planned(attention(high=WIDTH - 1))


def test_what_is_no_coincidence_is_simulated() -> None:
    program = attention()
    three = tuple(
        replace(q, neuron=replace(q.neuron, vth=0)) if q.name == "and" else q for q in program
    )
    assert "and" not in contractions.planned(replace(program, populations=three))
    lagged = tuple(replace(j, lag=1) if j.name == "qa" else j for j in program.projections)
    assert "and" not in contractions.planned(replace(program, projections=lagged))


def test_a_compiled_network_is_contracted() -> None:
    graph, x = graphs.live_case(True, False, 2)
    program = compile_graph(graph, load("loihi"), x).placed.program
    assert contractions.planned(program)


def test_counts_when_all_lanes_were_added_up() -> None:
    """So many samples that their spikes are summed and dropped before the counts are made."""
    program, x = attention(), events(200)
    got, expected = FastBackend().run(program, x), REFERENCE.run(program, x)
    for name, counts in expected.counts.events.items():
        assert counts.any(), name
        assert np.array_equal(got.counts.events[name], counts), name
