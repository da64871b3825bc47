"""The reference's rules against Intel's processes, on hundreds of random parameter sets each.

SFX_CONFORMANCE_SEED=n draws others. A failure prints the parameter set, its first differing step
and both values; with the seed that is enough to find it again.
"""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.conformance.by_hand import CASES, column
from tests.conformance.cases import KINDS, Case, differences
from tests.conformance.coverage import coverage
from tests.conformance.draw import draw
from tests.conformance.lava import answers
from tests.conformance.replay import replay

pytestmark = [pytest.mark.needs_lava, pytest.mark.slow]

COUNT = 220
SEED = int(os.environ.get("SFX_CONFORMANCE_SEED", "1"))
NEURON = ("spikes", "threshold met exactly", "u exactly 2^23", "u outside 24 bits",
          "v saturated high", "v saturated low", "shift of a_in wraps", "negative bias exponent",
          "positive bias exponent", "no decay of u", "full decay of u", "no decay of v",
          "dv 4095", "full decay of v")  # fmt: skip
JOINT = ("mixed signs, odd", "inhibitory", "excitatory", "clipped", "negative exponent",
         "positive exponent", "graded", "binary of payloads")  # fmt: skip
DELAYED = (*JOINT, "delay 1", "delay 64", "late, negative exponent")
WANTED = {
    "LIF": (*NEURON, "u wraps"),
    "LIFReset": (*NEURON, "reset of a state"),
    "GradedVec": ("threshold met exactly", "beyond 24 bits", "passes", "vth 0 passes 1"),
    "GradedReluVec": ("threshold met exactly", "beyond 24 bits", "passes", "vth 0 passes 1"),
    "ProdNeuron": ("product wraps", "threshold met exactly", "shift rounds down",
                   "fires beyond 24 bits"),
    "Dense": (*JOINT, "sum may wrap"),
    "Sparse": (*JOINT, "sum may wrap"),
    "DelayDense": DELAYED,
    "DelaySparse": (*DELAYED, "sum may wrap"),
    "Conv": ("mixed signs, odd", "clipped", "positive exponent", "graded", "binary of payloads",
             "sum may wrap", "stride", "dilation", "padding", "groups"),
}  # fmt: skip
"""What must happen at least five times in the cases of a kind."""


@pytest.mark.parametrize("kind", KINDS)
def test_reference_equals_lava(kind: str) -> None:
    drawn = draw(kind, COUNT, SEED)
    known = [c.having(a) for c, a in zip(drawn, answers(drawn), strict=True)]
    wrong = [line for case in known for line in differences(case, replay(case))]
    assert wrong == [], f"seed {SEED}: {len(wrong)} differ"
    found = coverage(known)
    assert found["cases"] == COUNT
    assert found["fires"] > COUNT // 3
    assert {name: found[name] for name in WANTED[kind] if found[name] < 5} == {}
    assert found["and it fired"] == 0, "the threshold is strict"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"Conv"}))
def test_lava_knows_what_was_worked_out_by_hand(kind: str) -> None:
    facts = {fact: case for fact, case in CASES.items() if case.kind == kind}
    for (fact, case), answer in zip(facts.items(), answers(list(facts.values())), strict=True):
        assert differences(case, answer) == [], fact


BEYOND = {
    "a payload of -2^31 has no absolute value in 32 bits, so Lava drops it": Case(
        "GradedVec", {"vth": 0}, {"a_in": column(-(1 << 31))}, {"s": column(0)}
    ),
    "so does a product of -2^31": Case(
        "ProdNeuron",
        {"exp": 0, "vth": 0},
        {"a_in1": column(1 << 16), "a_in2": column(1 << 15)},
        {"s": column(0)},
    ),
    "a current that stays outside 24 bits can reach 32, where it wraps": Case(
        "LIF",
        {"du": -1, "dv": 4096, "vth": 10, "bias_mant": 0, "bias_exp": 0},
        {"a_in": column((1 << 25) - 1, (1 << 25) - 1)},
        {"u": column((1 << 31) - 64 - (1 << 24), -128)},
    ),
    "DelayDense adds in 64 bits before it shifts, DelaySparse and the rest in 32": Case(
        "DelayDense",
        {"weight": [[200, 200]], "exp": -1, "graded": True, "delay": 1},
        {"s_in": np.array([[8 << 20, 8 << 20], [0, 0]])},
        {"s": column(0, 200 * (8 << 20))},
    ),
}
"""Where Lava leaves the reference's rules: sums of 2^31 and more, which `check_program` refuses."""


@pytest.mark.parametrize("fact", BEYOND)
def test_beyond_legal_sums_lava_does_otherwise(fact: str) -> None:
    case = BEYOND[fact]
    (answer,) = answers([case])
    assert differences(case, answer) == []
    assert differences(case, replay(case)) != [], "the rule says the same now: make it a case"
