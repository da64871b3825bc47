"""Operations layer by layer, and NeuroBench's metrics: what counts once, and what not at all."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.toolchain.compiler.cost.activity import Activity
from sfx.toolchain.compiler.cost.neurobench import neurobench
from sfx.toolchain.compiler.cost.operations import operations
from sfx.toolchain.compiler.cost.proxy import Proxy
from sfx.toolchain.ir.facts import Cell
from sfx.toolchain.ir.program import (
    Clock,
    Dense,
    Graded,
    Input,
    Product,
    Program,
    Projection,
    Structured,
)
from tests.unit.cost.toy import Counts
from tests.unit.mapping.programs import Net, lif

WEIGHT = np.array([[1, 0, 3], [0, 5, 6]])
LOW = np.array([[0, 0, 1], [0, 0, 2]])
ONE = Structured((("n", 2),), (("n", 2),))


def soft(terms: int) -> Program:
    """Input (3) -> weights in one or two terms -> a neuron (2) of four populations, and a bias."""
    net = Net(4)
    net.add("input", (3,), Input(payload_bits=4), high=15)
    net.add("one", (1,), Clock())
    parts = [("input", Dense(WEIGHT)), ("input", Dense(LOW))][:terms]
    bias = ("one", Dense(np.array([[7], [9]])))
    net.add("a.input", (2,), Graded(), *parts, bias, low=-99, high=99)
    net.add("a.membrane", (2,), Product(), ("a.input", ONE), low=-99, high=99, ports=("a_in1",))
    net.add("a", (2,), lif(), ("a.input", ONE), ("a.membrane", ONE))
    net.add("output", (2,), Graded(), ("a", Dense(np.array([[2, 0], [1, 1]]))), low=-9, high=9)
    program = net.done("output")
    return replace(program, facts=(Cell("a", "a.input", ("a.membrane",)),))


def looped() -> Program:
    """The same neuron with weights back to itself: from its copy, into all that sum its input."""
    program, own = soft(1), Dense(np.array([[0, 4], [3, 5]]))
    copy = replace(program["a"], name="a.feedback")
    back = [
        Projection(f"a.feedback->{post}", "a.feedback", post, own, port, lag=1)
        for post, port in (("a", "a_in"), ("a.membrane", "a_in1"), ("a.feedback", "a_in"))
    ]
    reset = Projection("a.feedback->a.membrane#1", "a.feedback", "a.membrane", ONE, "a_in1", lag=1)
    fed = Projection("a.input->a.feedback", "a.input", "a.feedback", ONE)
    return replace(
        program,
        populations=(*program.populations[:-1], copy, program.populations[-1]),
        projections=(*program.projections, fed, *back, reset),
        facts=(Cell("a", "a.input", ("a.membrane", "a.feedback")),),
    )


def counts(program: Program) -> Counts:
    """Two samples: the input's neurons send 3, 2 and 1 times, everything else at every step."""
    events = {p.name: np.full((4, p.size), 2) for p in program}
    events["input"] = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]])
    return Counts(2, events)


@pytest.mark.parametrize("terms", [1, 2])
def test_a_layer_counts_once_and_a_neuron_s_inside_and_bias_not_at_all(terms: int) -> None:
    program = soft(terms)
    found = {r.name: r for r in operations(program, Activity.mean(program, counts(program)))}
    assert set(found) == {"a", "output"}
    assert found["a"].rate == pytest.approx(6 / 2 / (4 * 3))
    a, output = found["a"].done, found["output"].done
    assert a.accumulates + a.multiplies == (3 * 1 + 2 * 1 + 1 * 2) / 2
    assert a.dense_macs == 6, "zeros too"
    assert (output.accumulates, output.multiplies, output.dense_macs) == (4 * 3, 0, 4)
    whole = Proxy.sum(r.done for r in found.values())
    assert whole.dense_macs == 10
    assert whole.snn_j == pytest.approx(a.snn_j + output.snn_j)


def test_weights_that_feed_back_count_once_and_the_reset_does_not() -> None:
    program, without = looped(), soft(1)
    rows = [operations(p, Activity.mean(p, counts(p)))[0].done for p in (program, without)]
    assert rows[0].accumulates - rows[1].accumulates == 4 * 1 + 4 * 2, "3 weights are not 0"
    assert rows[0].dense_macs - rows[1].dense_macs == 4
    found = [neurobench(p, counts(p), ("a",), binary_input=True) for p in (program, without)]
    assert found[0].weights - found[1].weights == 4
    assert found[0].effective_acs - found[1].effective_acs == 4 * 1 + 4 * 2


@pytest.mark.parametrize("terms", [1, 2])
def test_neurobench_by_hand(terms: int) -> None:
    program = soft(terms)
    membrane = np.array([[[1, 0], [1, 2], [3, 2], [3, 2]]])
    found = neurobench(
        program, counts(program), ("a",), binary_input=True, membranes={"a": membrane}
    )
    assert found.weights == 6 + 4
    assert found.connection_sparsity == 3 / 10
    assert found.activation_sparsity == 0.0
    assert found.effective_acs == (3 + 2 + 2) / 2 + 4 * 3
    assert found.effective_macs == 0
    assert found.dense == 4 * (6 + 4)
    assert found.membrane_updates == 2 + 1 + 1
    again = neurobench(program, counts(program), ("a",), binary_input=False)
    assert again.membrane_updates is None
    assert (again.effective_macs, again.effective_acs) == ((3 + 2 + 2) / 2, 4 * 3)


def test_two_terms_take_more_memory_and_are_no_more_weights() -> None:
    one, two = (neurobench(p, counts(p), ("a",), binary_input=True) for p in (soft(1), soft(2)))
    assert two.footprint_bytes > one.footprint_bytes
    assert (two.weights, two.effective_acs) == (one.weights, one.effective_acs)
