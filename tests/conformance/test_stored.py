"""The reference replays stored answers of Intel's processes: no Lava needed, on any Python."""

from __future__ import annotations

import pytest

from tests.conformance import cases
from tests.conformance.by_hand import CASES
from tests.conformance.cases import KINDS, STORED, differences
from tests.conformance.coverage import coverage
from tests.conformance.replay import replay


@pytest.mark.parametrize("kind", KINDS)
def test_reference_gives_what_lava_gave(kind: str) -> None:
    stored = cases.read(kind)
    assert len(stored) == STORED
    wrong = [line for case in stored for line in differences(case, replay(case))]
    assert wrong == []


@pytest.mark.parametrize("kind", KINDS)
def test_stored_cases_are_not_silent(kind: str) -> None:
    found = coverage(cases.read(kind))
    assert found["fires"] > STORED // 2
    assert found["is silent"] > STORED // 2


def test_a_wrong_answer_is_seen() -> None:
    for kind in KINDS:
        case = next(c for c in cases.read(kind) if c.expected["s"].any())
        got = replay(case)
        step, neuron = map(int, (got["s"] != 0).nonzero()[0][:1].repeat(2))
        neuron = int(got["s"][step].nonzero()[0][0])
        got["s"][step, neuron] += 1
        (line,) = differences(case, got)
        assert f"neuron {neuron} at step {step}" in line


@pytest.mark.parametrize("fact", CASES)
def test_reference_knows(fact: str) -> None:
    case = CASES[fact]
    assert differences(case, replay(case)) == []


def test_hand_made_cases_reach_every_kind_but_conv() -> None:
    assert {case.kind for case in CASES.values()} == set(KINDS) - {"Conv"}
