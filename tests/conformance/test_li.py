"""LI against its witness: Intel's LIFReset with a threshold that no membrane reaches."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.backends.reference.neurons import li
from sfx.backends.reference.neurons.lif import reset
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ir.program import LI
from tests.conformance.cases import Case
from tests.conformance.draw import draw
from tests.conformance.lava import answers

pytestmark = pytest.mark.needs_lava
COUNT = 120
NEVER = 1 << 17
"""As a threshold of a LIF: 2^23 on the membrane's scale, which saturates below it."""


def of_rule(case: Case) -> dict[str, IntArray]:
    """u, v and what is sent by the reference's rule."""
    c = case.params
    neuron = LI(c["du"], c["dv"], np.array(c["bias_mant"], np.int64), c["bias_exp"])
    state, rows = reset((1, 1)), []
    for h, a_in in enumerate(case.inputs["a_in"]):
        if (h + 1) % c["interval"] == c["offset"] % c["interval"]:
            state = reset((1, 1))
        state, sent = li.step(neuron, state, a_in.reshape(1, 1), LOIHI)
        rows.append((state.u.item(), state.v.item(), sent.item()))
    return {k: np.array(v)[:, None] for k, v in zip("uvs", zip(*rows, strict=True), strict=True)}


def test_u_and_v_are_those_of_a_lif_that_never_fires() -> None:
    drawn = [
        replace(c, params=c.params | {"vth": NEVER}) for c in draw("LIFReset", COUNT, start=11)
    ]
    compared = moved = saturated = 0
    for case, theirs in zip(drawn, answers(drawn), strict=True):
        ours = of_rule(case)
        assert not theirs["s"].any()
        assert np.array_equal(ours["u"], theirs["u"]), case.params
        assert np.array_equal(ours["v"], theirs["v"]), case.params
        assert np.array_equal(ours["s"], theirs["v"])
        compared += theirs["v"].size
        moved += int(np.count_nonzero(theirs["v"]))
        saturated += int(np.count_nonzero(np.abs(theirs["v"]) == LOIHI.state_limit - 1))
    assert compared >= 48 * COUNT
    assert moved > compared // 2
    assert saturated > 20
