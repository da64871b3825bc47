"""The reference's rules against Intel's processes, on hundreds of random parameter sets each.

SFX_CONFORMANCE_SEED=n draws others. A failure prints the parameter set, its first differing step
and both values; with the seed that is enough to find it again.
"""

from __future__ import annotations

import os

import pytest

from tests.conformance.by_hand import CASES
from tests.conformance.cases import KINDS, differences
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
    assert found["fires"] > COUNT // 2
    assert {name: found[name] for name in WANTED[kind] if found[name] < 5} == {}
    assert found["and it fired"] == 0, "the threshold is strict"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"Conv"}))
def test_lava_knows_what_was_worked_out_by_hand(kind: str) -> None:
    facts = {fact: case for fact, case in CASES.items() if case.kind == kind}
    for (fact, case), answer in zip(facts.items(), answers(list(facts.values())), strict=True):
        assert differences(case, answer) == [], fact
