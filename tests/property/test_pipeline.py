"""The pipelined Program computes what the same integers compute layer by layer."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.backends.base import align
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check_program import check_program
from tests.mutate import change_delay
from tests.strategies import programs, random_events, random_program

REFERENCE = ReferenceBackend()
SEEDS = st.integers(0, 2**32 - 1)
SAMPLES = 3
SURVEY = range(150)


def differing(program: p.Program, x: np.ndarray, **options: int) -> list[str]:
    """Populations whose streamed spikes differ from the layer-by-layer ones."""
    expected = REFERENCE.layers(program, x)
    stream = REFERENCE.stream(program, x, **options)
    return [
        q.name
        for q in program
        if not np.array_equal(
            align(stream.spikes[q.name], q.phase, len(x), program.timesteps), expected[q.name]
        )
    ]


@given(programs(), SEEDS)
def test_pipelined_equals_layer_by_layer(program: p.Program, seed: int) -> None:
    check_program(program, balanced=True)
    assert differing(program, random_events(program, SAMPLES, seed)) == []


@given(programs(), SEEDS)
def test_garbage_before_the_phase_changes_nothing(program: p.Program, seed: int) -> None:
    x = random_events(program, SAMPLES, seed)
    assert differing(program, x, garbage=seed) == []


@given(programs(), SEEDS)
def test_states_do_not_depend_on_garbage(program: p.Program, seed: int) -> None:
    """From the reset at its phase on, u and v of every LIF with state are the same too."""
    x = random_events(program, 2, seed)
    clean = REFERENCE.stream(program, x, states=True)
    dirty = REFERENCE.stream(program, x, states=True, garbage=seed)
    for name in clean.u:
        start, end = program[name].phase, program[name].phase + 2 * program.timesteps
        for a, b in ((clean.u, dirty.u), (clean.v, dirty.v)):
            if program[name].stateful:
                assert np.array_equal(a[name][start:end], b[name][start:end])


@given(programs(), SEEDS)
def test_streamed_samples_equal_lanes(program: p.Program, seed: int) -> None:
    """K samples back to back give what each gives alone: nothing leaks from one to the next."""
    x = random_events(program, SAMPLES, seed)
    stream, result = REFERENCE.stream(program, x), REFERENCE.run(program, x)
    alone = [REFERENCE.stream(program, x[k : k + 1]) for k in range(SAMPLES)]
    for q in program:
        streamed = align(stream.spikes[q.name], q.phase, SAMPLES, program.timesteps)
        assert np.array_equal((streamed != 0).sum(axis=0), result.counts.events[q.name])
        for k, record in enumerate(alone):
            got = align(record.spikes[q.name], q.phase, 1, program.timesteps)[0]
            assert np.array_equal(got, streamed[k])
    output = program[program.readout.population]
    sums = align(stream.spikes[output.name], output.phase, SAMPLES, program.timesteps).sum(axis=1)
    assert np.array_equal(sums.reshape(SAMPLES, -1) + program.readout.offset, result.sums)


@pytest.mark.parametrize("by", [1, 2])
def test_a_wrong_delay_is_caught(by: int) -> None:
    """Every projection of a live Program, one at a time, `by` steps too slow.

    A few can make no difference on these events: another input decides, or a weight is 0.
    """
    caught = tried = 0
    for seed in range(12):
        program = random_program(seed, populations=5)
        x = random_events(program, SAMPLES, seed)
        for j in program.projections:
            tried += 1
            caught += bool(differing(change_delay(program, j.name, by), x))
    assert tried > 100
    assert caught > 0.8 * tried, f"only {caught} of {tried} wrong delays were noticed"


def test_a_clock_without_an_early_tick_is_caught() -> None:
    """Accumulators need the tick before sample 0: one clock at phase 0 leaves garbage in some."""
    caught = 0
    for seed in range(40):
        program = random_program(seed, populations=4, neurons=("accumulator", "lif"))
        if "clock" not in {q.name for q in program}:
            continue
        late = replace(program["clock"], phase=0)
        shift = program["clock"].phase
        moved = replace(
            program,
            populations=tuple(late if q.name == "clock" else q for q in program),
            projections=tuple(
                replace(j, delay=j.delay + shift) if j.pre == "clock" else j
                for j in program.projections
            ),
        )
        x = random_events(program, 1, seed)
        assert differing(program, x, garbage=seed) == []
        caught += bool(differing(moved, x, garbage=seed))
    assert caught > 10


def test_the_random_programs_are_alive_and_cover_every_kind() -> None:
    """Liveness over a survey: without it equal could mean silent."""
    kinds: Counter[str] = Counter()
    live: dict[str, list[bool]] = {}
    rates: list[float] = []
    all_fire = relays = skips = depth = 0
    for seed in SURVEY:
        program = random_program(
            seed, populations=1 + seed % 8, timesteps=1 + seed % 5, max_delay=(1, 2, 62)[seed % 3]
        )
        spikes = REFERENCE.layers(program, random_events(program, SAMPLES, seed))
        fired = {q.name: bool(spikes[q.name].any()) for q in program}
        all_fire += all(fired.values())
        for q in program:
            kind = type(q.neuron).__name__
            if isinstance(q.neuron, p.LIF) and not q.stateful:
                kind += " stateless"
            kinds[kind] += 1
            live.setdefault(kind, []).append(fired[q.name])
            if isinstance(q.neuron, p.LIF):
                rates.append(float(spikes[q.name].mean()))
            relays += ".relay" in q.name
        kinds.update(type(j.connection).__name__ for j in program.projections)
        skips += any(j.delay > 1 for j in program.projections)
        depth = max(depth, program.last_phase)
    expected = {
        "Input", "Clock", "LIF", "LIF stateless", "Graded", "GradedReLU", "Product",
        "Dense", "Sparse", "Conv2d", "Structured",
    }  # fmt: skip
    assert set(kinds) == expected
    assert min(kinds.values()) >= 50, kinds
    shares = {kind: float(np.mean(f)) for kind, f in live.items()}
    assert min(shares.values()) > 0.85, shares
    assert all_fire > 0.75 * len(SURVEY)
    assert np.mean([0.02 < r < 0.98 for r in rates]) > 0.6, "few populations are always on or off"
    assert relays > 50
    assert skips > 0.3 * len(SURVEY)
    assert depth >= 8
