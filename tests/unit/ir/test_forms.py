"""Neurons of several spikes, two tests or a held membrane, and delays: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.toolchain.compiler.quantize.forms import refuse_forms
from sfx.toolchain.compiler.standard_nir import standard
from sfx.toolchain.formats.nir.bridge import from_graph, to_graph
from sfx.toolchain.ground.errors import SfxError, UnsupportedError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.check import check_graph
from sfx.toolchain.ir.evaluate import run
from sfx.toolchain.ir.graph import Graph, Op
from tests.unit.ir.graphs import chain


def net(op: Op, timesteps: int) -> Graph:
    return chain(("input", g.Input(), (1,)), ("n", op, (1,)), timesteps=timesteps, reduce="none")


def sent(op: Op, x: list[float]) -> list[float]:
    data = np.array(x).reshape(1, -1, 1)
    return list(run(net(op, len(x)), data, keep=["output"])["output"].ravel())


def test_many_is_how_often_the_threshold_fits_below_v() -> None:
    # v 2.5 -> 2 spikes, 0.5 left; 3.5 -> 3, 0.5; -1.5 -> 0; 0.5 (strictly below: 0)
    assert sent(g.IF(1.0, subtract=True, fires="many"), [2.5, 3.0, -2.0, 2.0]) == [2, 3, 0, 0]
    # 3 thresholds exactly are two spikes where v has to exceed, three where it has to reach
    assert sent(g.IF(1.0, subtract=True, fires="many"), [3.0]) == [2]
    reached = g.IF(1.0, subtract=True, fires="many", reached=True)
    assert sent(reached, [3.0, 2.0]) == [3, 2]
    assert sent(g.IF(1.0, fires="many"), [2.5, 0.75, 0.5]) == [2, 0, 1]  # reset to 0


def test_many_up_to_the_most() -> None:
    # 5.5 fires 3 of 5 times, 2.5 left: 2 more with the next step
    assert sent(g.IF(1.0, subtract=True, fires="many", most=3), [5.5, 0.0, 1.0]) == [3, 2, 1]


def test_spikes_of_both_signs() -> None:
    # 1 and -1 do not exceed; v is 0 after either spike, or loses as much as it sent stands for
    x = [1.0, 0.5, -2.5, -0.5, -0.75, 3.5]
    assert sent(g.IF(1.0, fires="signed"), x) == [0, 1, -1, 0, -1, 1]
    assert sent(g.IF(1.0, subtract=True, fires="signed"), x) == [0, 1, -1, -1, -1, 1]
    reached = g.IF(1.0, subtract=True, fires="signed", reached=True)
    assert sent(reached, [1.0, -1.0, 0.5, -2.0]) == [1, -1, 0, -1]


def test_a_membrane_with_a_floor() -> None:
    # -5 counts as -1: after 2.5 it fires, where the sum alone would be at -2.5
    assert sent(g.IF(1.0, floor=-1.0), [-5.0, 2.5]) == [0, 1]
    # the floor holds after the reset too: 1.5 - 1 = 0.5, then -0.25 is 0.25
    assert sent(g.IF(1.0, subtract=True, floor=0.25), [1.5, -2.0, 1.0]) == [1, 0, 1]


def test_twice_is_tested_before_and_after_the_input() -> None:
    op = g.LIF(0.5, 1.0, gain=2.0, subtract=True, fires="twice")
    # w = v/2 + x: 3.5 fires, 2.5 left, above 1; then w = 1.75 + 0.5 must pass 2: it does, 1.25
    # left; then w = 1.125 would have fired once, but must pass 2; then v = 1.125 is above 1 still
    assert sent(op, [3.5, 0.5 + 0.5, 0.5, 1.0]) == [1, 1, 0, 0]
    once = g.LIF(0.5, 1.0, gain=2.0, subtract=True)
    assert sent(once, [3.5, 0.5 + 0.5, 0.5, 1.0]) == [1, 1, 1, 1]


def test_a_held_membrane_loses_what_arrives_and_the_current_goes_on() -> None:
    # i 2, 1, 2.5, 1.25; v 2 (fires), held at 0, 2.5 (fires), held
    op = g.LIF(0.5, 1.0, gain=2.0, syn=0.5, w_in=2.0, hold=1)
    assert sent(op, [2.0, 0.0, 2.0, 0.0]) == [1, 0, 1, 0]
    assert sent(g.IF(1.0, hold=2), [2.0] * 7) == [1, 0, 0, 1, 0, 0, 1]


def test_a_delay() -> None:
    assert sent(g.Delay(2), [1.0, 2.0, 3.0]) == [0, 0, 1]
    assert sent(g.Delay(5), [1.0, 2.0]) == [0, 0]
    assert sent(g.Delay(1, (1,)), [1.0, 0.0]) == [0, 1]


@pytest.mark.parametrize(
    ("op", "code"),
    [
        (g.IF(1.0, subtract=True, fires="many"), "SFX-E220"),
        (g.LIF(0.5, 1.0, subtract=True, fires="twice"), "SFX-E221"),
        (g.LIF(0.5, 1.0, syn=0.5, hold=1), "SFX-E222"),
        (g.IF(1.0, subtract=True, fires="many", most=201), "SFX-E220"),
        (g.IF(1.0, fires="many", most=3), "SFX-E228"),
        (g.IF(1.0, subtract=True, fires="signed", start=0.5), "SFX-E228"),
        (g.LIF(0.5, 1.0, subtract=True, floor=-1.0), "SFX-E225"),
        (g.Delay(8), "SFX-E223"),
    ],
)
def test_a_file_says_them_and_the_integers_refuse_them(op: Op, code: str) -> None:
    graph = net(op, 4)
    assert to_graph(from_graph(graph))["n"].op == op
    with pytest.raises(UnsupportedError) as error:
        refuse_forms(graph)
    assert error.value.code == code
    if code != "SFX-E223":
        with pytest.raises(UnsupportedError, match="SFX-E644"):
            standard(graph)


@pytest.mark.parametrize(
    "op",
    [
        g.LIF(1.0, 1.0, subtract=True, fires="round", most=4),
        g.IF(1.0, subtract=True, fires="round", most=4),
        g.IF(1.0, subtract=True, fires="many", most=3, reached=True),
        g.LIF(0.5, 1.0, fires="signed", reached=True),
        g.LIF(0.5, 1.0, subtract=True, fires="signed"),
    ],
)
def test_integer_neurons_go_through_a_file_and_have_no_standard_node(op: Op) -> None:
    graph = net(op, 4)
    assert to_graph(from_graph(graph))["n"].op == op
    refuse_forms(graph)
    with pytest.raises(UnsupportedError, match="SFX-E644 n: standard NIR cannot express a neuron"):
        standard(graph)


@pytest.mark.parametrize(
    "op",
    [
        g.IF(1.0, fires="often"),
        g.IF(0.0, fires="many"),
        g.IF(1.0, fires="twice"),
        g.IF(1.0, hold=-1),
        g.IF(1.0, fires="signed", reset=0.5),
        g.IF(0.0, fires="signed"),
        g.LIF(0.5, 1.0, fires="signed", floor=0.0),
        g.Delay(0),
        g.Delay(3, (2,)),
    ],
)
def test_what_has_no_meaning(op: Op) -> None:
    with pytest.raises(SfxError, match="SFX-E214"):
        check_graph(net(op, 2))
