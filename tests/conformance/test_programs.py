"""Whole random Programs through Intel's processes: every population, hardware step, u and v.

Fill and drain included. Programs are drawn until every population fires, so that no comparison
is vacuous; changing one number of what Lava gets must show at the right place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from sfx.backends.base import Stream
from sfx.backends.lava.backend import LavaBackend
from sfx.backends.lava.choose import choose
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.program import Program
from sfx.toolchain.verify.compare import Mismatch, Verdict, compare
from tests import mutate
from tests.strategies import NEURONS, random_events, random_program

pytestmark = [pytest.mark.needs_lava, pytest.mark.slow]

SAMPLES = 3
SIZES = [2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 3, 4]
"""Populations asked for; accumulators and relays add to them."""
GROUPED = (10, 11)
"""Cases with sums over groups of steps."""


def live_program(
    start: int, populations: int, max_delay: int = 62, *, grouped: bool = False
) -> tuple[Program, IntArray]:
    """The first random Program from seed `start` on whose every population fires.

    grouped: and in which the sum of a group reaches all its steps
    """
    kinds = ("groups", "lif", "product") if grouped else NEURONS
    for seed in range(start, start + 200):
        program = random_program(seed, populations=populations, max_delay=max_delay, neurons=kinds)
        if grouped and not in_groups(program):
            continue
        x = random_events(program, SAMPLES, seed)
        spikes = ReferenceBackend().stream(program, x).spikes
        if all(s.any() for s in spikes.values()):
            return program, x
    raise AssertionError("no live Program in 200 seeds")


def in_groups(program: Program) -> bool:
    """Whether a projection brings the sum of a group to an earlier step."""
    return any(
        isinstance(gate, p.Clock) and gate.every > 1
        for j in program.projections
        if j.lag < 0
        for gate in (program[k.pre].neuron for k in program.incoming[j.pre])
    )


def verdict(program: Program, expected: Stream, got: Stream) -> Verdict:
    return compare(
        program, expected, got, against="lava", mode="full", states=True, samples=SAMPLES
    )


@cache
def drawn(case: int) -> tuple[Program, IntArray]:
    """Case 0, 1, ...: small `max_delay`s make chains of relays."""
    return live_program(1000 * case, SIZES[case], [62, 62, 2, 1][case % 4], grouped=case in GROUPED)


def test_the_programs_hold_everything() -> None:
    programs = [drawn(case)[0] for case in range(len(SIZES))]
    kinds = Counter(choose(j, q[j.pre]) for q in programs for j in q.projections)
    assert min(kinds[k] for k in ("Dense", "DelayDense", "Sparse", "DelaySparse")) >= 3
    neurons = Counter(type(c.neuron).__name__ for q in programs for c in q)
    wanted = ("Input", "Clock", "LIF", "Graded", "GradedReLU", "Product")
    assert min(neurons[n] for n in wanted) >= 2
    joints = [j for q in programs for j in q.projections]
    assert any(j.lag > 0 for j in joints)
    assert any(j.lag < 0 for j in joints)
    assert any(map(in_groups, programs))
    assert any(j.weight_exp < 0 for j in joints)
    assert any(j.pre_view for j in joints)
    assert max(j.delay for j in joints) >= 5
    assert max(len(q.populations) for q in programs) >= 20


@pytest.mark.parametrize("case", range(len(SIZES)))
def test_lava_equals_the_reference(case: int) -> None:
    program, x = drawn(case)
    expected = ReferenceBackend().stream(program, x, states=True)
    got = LavaBackend().stream(program, x, states=True)
    result = verdict(program, expected, got)
    assert result.first_mismatch is None
    assert result.silent == ()
    steps = SAMPLES * program.timesteps + program.last_phase
    states = sum(q.size for q in program if isinstance(q.neuron, p.LIF))
    assert result.compared == steps * (sum(q.size for q in program) + 2 * states)


# --- one changed number -----------------------------------------------------------------------


def mutants(kind: str, program: Program) -> Iterator[tuple[Program, str]]:
    """Programs with one weight bit, threshold or delay changed, and the population it concerns."""
    if kind == "threshold":
        for q in program:
            if isinstance(q.neuron, p.LIF):
                for by in (-max(1, q.neuron.vth // 2), q.neuron.vth + 100):
                    yield mutate.change_threshold(program, q.name, by), q.name
    for j in program.projections:
        if kind == "weight" and isinstance(j.connection, p.Dense | p.Conv2d):
            for index in range(0, j.connection.weight.size, 3):
                yield mutate.flip_weight_bit(program, j.name, index), j.post
        if kind == "delay":
            yield mutate.change_delay(program, j.name, -1 if j.delay > 1 else 1), j.post


def first_difference(program: Program, changed: Program, x: IntArray) -> Mismatch | None:
    """Where the reference sees the change, over the steps that both run."""
    a = ReferenceBackend().stream(program, x, states=True)
    b = ReferenceBackend().stream(changed, x, states=True)
    return verdict(program, a, b).first_mismatch


@pytest.mark.parametrize("case", [6, 8])
@pytest.mark.parametrize("kind", ["weight", "threshold", "delay"])
def test_one_changed_number_is_seen_where_it_is(kind: str, case: int) -> None:
    program, x = drawn(case)
    rng = np.random.default_rng(case)
    choices = list(mutants(kind, program))
    for index in rng.permutation(len(choices)):
        changed, where = choices[int(index)]
        truth = first_difference(program, changed, x)
        if truth is not None:
            break
    else:
        pytest.fail(f"none of {len(choices)} changes of a {kind} matters on these samples")
    assert truth.population == where
    got = LavaBackend().stream(changed, x, states=True)
    seen = verdict(program, ReferenceBackend().stream(program, x, states=True), got)
    assert not seen.equal
    assert seen.first_mismatch == truth
    again = verdict(program, ReferenceBackend().stream(changed, x, states=True), got)
    assert again.equal, "Lava ran the changed Program, not another"
