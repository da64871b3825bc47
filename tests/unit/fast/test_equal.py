"""The fast backend gives the reference's bits: sums, events, active neurons, every spike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfx.backends.base import Result
from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler import compile_graph
from sfx.toolchain.ir import program as p
from sfx.toolchain.targets import load
from tests import graphs
from tests.strategies import programs, random_events, random_program

REFERENCE, FAST = ReferenceBackend(), FastBackend()


def differences(want: Result, got: Result) -> list[str]:
    """What is not equal, by name; nothing here may be vacuous."""
    found = [] if np.array_equal(want.sums, got.sums) else ["sums"]
    assert want.counts.samples == got.counts.samples
    for kind in ("events", "active"):
        a, b = getattr(want.counts, kind), getattr(got.counts, kind)
        assert list(a) == list(b)
        found += [f"{kind} {n}" for n in a if not np.array_equal(a[n], b[n])]
    return found


def check(program: p.Program, x: np.ndarray, memory: int = 1 << 20) -> Result:
    """Both runs and both layer records are equal; a small memory makes several batches."""
    want, got = REFERENCE.run(program, x), FastBackend(memory).run(program, x)
    assert differences(want, got) == []
    spikes, fast_spikes = REFERENCE.layers(program, x), FAST.layers(program, x)
    assert list(spikes) == list(fast_spikes)
    for name, s in spikes.items():
        assert np.array_equal(s, fast_spikes[name]), name
    return got


@pytest.mark.parametrize("seed", range(40))
def test_random_programs(seed: int) -> None:
    program = random_program(seed, populations=4 + seed % 8, max_delay=(1, 2, 62)[seed % 3])
    got = check(program, random_events(program, 3, seed), memory=(1, 1 << 14, 1 << 28)[seed % 3])
    assert sum(e.sum() for e in got.counts.events.values())


def test_the_random_programs_hold_every_kind() -> None:
    drawn = [
        random_program(seed, populations=4 + seed % 8, max_delay=(1, 2, 62)[seed % 3])
        for seed in range(40)
    ]
    neurons = {type(q.neuron) for program in drawn for q in program}
    assert neurons == {p.Input, p.Clock, p.LIF, p.Graded, p.GradedReLU, p.Product}
    kinds = {type(j.connection) for program in drawn for j in program.projections}
    assert kinds == {p.Dense, p.Sparse, p.Conv2d, p.Structured}
    assert any(j.lag for program in drawn for j in program.projections)
    assert any(isinstance(q.neuron, p.LIF) and not q.neuron.reset for r in drawn for q in r)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs(), st.integers(0, 99))
def test_drawn_programs(program: p.Program, seed: int) -> None:
    check(program, random_events(program, 2, seed))
