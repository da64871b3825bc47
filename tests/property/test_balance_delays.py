"""Phases, delays, relays, clocks and loops of the delay balancing pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.ground.errors import UnsupportedError
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check_program import check_program
from tests.strategies import random_events, random_program

ONE = p.Structured((("a", 2),), (("a", 2),))


def program(*edges: str, clocks: tuple[str, ...] = ()) -> p.Program:
    """Populations of 2 graded neurons from edges "a>b", "a>b/1" (with lag 1); "in" is the input."""
    names = list(dict.fromkeys(n for e in edges for n in e.split("/")[0].split(">")))
    pops = [
        p.Population(
            n, (2,), p.Input() if n == "in" else p.Clock() if n in clocks else p.Graded(), 0, 9
        )
        for n in names
    ]
    js = []
    for e in edges:
        ends, _, lag = e.partition("/")
        js.append(p.Projection(e, *ends.split(">"), ONE, lag=int(lag or 0)))
    return p.Program(tuple(pops), tuple(js), 4, p.Readout(names[-1], 1.0, (0, 0)))


def phases(balanced: p.Program) -> dict[str, int]:
    return {q.name: q.phase for q in balanced}


def delays(balanced: p.Program) -> dict[str, int]:
    return {j.name: j.delay for j in balanced.projections}


def test_before_and_after_of_the_docstring() -> None:
    before = program("in>a", "a>b", "b>add", "in>add")
    after = BalanceDelays(62).run(before)
    assert phases(after) == {"in": 0, "a": 1, "b": 2, "add": 3}
    assert delays(after) == {"in>a": 1, "a>b": 1, "b>add": 1, "in>add": 3}
    short = BalanceDelays(2).run(before)
    assert phases(short) == {"in": 0, "a": 1, "b": 2, "in.relay1": 2, "add": 3}
    assert delays(short)["in->in.relay1"] == 2
    assert delays(short)["in>add"] == 1
    assert next(j for j in short.projections if j.name == "in>add").pre == "in.relay1"
    assert phases(before) == {"in": -1, "a": -1, "b": -1, "add": -1}, "the argument is left alone"


def test_relays_are_shared_between_consumers() -> None:
    chain = [f"{a}>{b}" for a, b in zip(["in", *"abcdef"], "abcdefg", strict=True)]
    after = BalanceDelays(2).run(program(*chain, "in>d", "in>f", "in>g"))
    relays = [q for q in after if ".relay" in q.name]
    assert [q.name for q in relays] == ["in.relay1", "in.relay2", "in.relay3"]
    assert [q.phase for q in relays] == [2, 4, 6]
    source = {j.name: (j.pre, j.delay) for j in after.projections}
    assert source["in>d"] == ("in.relay1", 2)
    assert source["in>f"] == ("in.relay2", 2)
    assert source["in>g"] == ("in.relay3", 1)
    assert all(isinstance(q.neuron, p.Graded) and (q.low, q.high) == (0, 9) for q in relays)


def test_a_taken_relay_name_is_avoided() -> None:
    after = BalanceDelays(1).run(program("in>in.relay1", "in.relay1>b", "in>b"))
    assert phases(after) == {"in": 0, "in.relay1": 1, "in.relay1_": 1, "b": 2}


def test_a_clock_comes_late_but_not_before_phase_1() -> None:
    after = BalanceDelays(62).run(program("in>a", "a>b", "b>c", "ck>c", clocks=("ck",)))
    assert phases(after)["ck"] == 2
    assert delays(after)["ck>c"] == 1
    early = BalanceDelays(62).run(program("in>a", "ck>a", clocks=("ck",)))
    assert phases(early) == {"in": 0, "ck": 1, "a": 2}
    assert delays(early) == {"in>a": 2, "ck>a": 1}


def test_a_self_projection_with_lag_fits() -> None:
    assert delays(BalanceDelays(1).run(program("in>m", "m>m/1"))) == {"in>m": 1, "m>m/1": 1}


def test_a_pair_that_exchanges_earlier_steps_gets_one_phase() -> None:
    """C needs a later operand than M: M waits for it."""
    after = BalanceDelays(9).run(program("in>m", "in>a", "a>b", "b>c", "m>c/1", "c>m/1"))
    assert phases(after)["m"] == phases(after)["c"] == 3
    assert delays(after) == {"in>m": 3, "in>a": 1, "a>b": 1, "b>c": 1, "m>c/1": 1, "c>m/1": 1}


@pytest.mark.parametrize(
    ("edges", "path"),
    [
        (("in>a", "a>b", "b>a/1", "b>z"), "2 hardware steps"),
        (("in>a", "a>b", "b>c", "c>d", "d>b/1", "d>z"), "3 hardware steps"),
        (("in>a", "a>a"), "a -> a"),
    ],
)
def test_a_loop_that_does_not_fit_is_named(edges: tuple[str, ...], path: str) -> None:
    with pytest.raises(UnsupportedError) as error:
        BalanceDelays(62).run(program(*edges))
    assert error.value.code == "SFX-E320"
    assert path in str(error.value)
    named = str(error.value).split("loop ")[1].split(" takes")[0].split(" -> ")
    assert named[0] == named[-1]
    assert set(named) == set("bcd" if len(edges) == 6 else "ab" if len(edges) == 4 else "a")


def test_the_models_own_delays_leave_room() -> None:
    after = BalanceDelays(62).run(program("in>a", "a>b", "b>c", "c>a/3"))
    assert delays(after)["c>a/3"] == 1
    assert delays(BalanceDelays(62).run(program("in>a", "a>b", "b>a/5")))["b>a/5"] == 4


def test_a_loop_longer_than_the_longest_delay_gets_relays() -> None:
    after = BalanceDelays(2).run(program("in>a", "a>b", "b>a/6"))
    assert {q.name: q.phase for q in after if "relay" in q.name} == {"b.relay1": 4, "b.relay2": 6}
    last = next(j for j in after.projections if j.name == "b>a/6")
    assert (last.pre, last.delay, last.lag) == ("b.relay2", 1, 6)


def test_max_delay_must_be_positive() -> None:
    with pytest.raises(UnsupportedError, match="SFX-E321"):
        BalanceDelays(0).run(program("in>a"))


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(1, 6))
def test_balanced_programs_are_legal_least_and_equal(
    seed: int, populations: int, max_delay: int
) -> None:
    before = random_program(seed, populations=populations, balance=False)
    after = BalanceDelays(max_delay).run(before)
    check_program(after, balanced=True)
    assert max((j.delay for j in after.projections), default=1) <= max_delay
    order = [q.phase for q in after]
    assert order == sorted(order)
    for q in before:  # least: something holds each phase down
        tight = any(
            after[j.post].phase == after[j.pre].phase + 1 - j.lag and j.pre != j.post
            for j in before.incoming[q.name]
            if j.post == q.name
        )
        assert tight or isinstance(q.neuron, p.Input | p.Clock)
    x = random_events(before, 2, seed)
    mine, truth = ReferenceBackend().layers(after, x), ReferenceBackend().layers(before, x)
    assert all(np.array_equal(mine[name], truth[name]) for name in truth)


def test_balancing_twice_changes_nothing() -> None:
    once = BalanceDelays(62).run(random_program(11, balance=False))
    twice = BalanceDelays(62).run(once)
    assert twice.populations == once.populations
    assert [replace(j, connection=ONE) for j in twice.projections] == [
        replace(j, connection=ONE) for j in once.projections
    ]
