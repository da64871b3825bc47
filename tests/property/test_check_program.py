"""Every rule of `check_program`: one change of a legal Program breaks exactly that rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.bound import Bound
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.neurons.leaky import current_bound
from tests.mutate import projection, with_population, with_projection

AXES = (("a", 4),)
SAME = p.Structured(AXES, AXES)


def legal() -> p.Program:
    """One of every neuron program and connection kind, balanced."""
    populations = (
        p.Population("in", (4,), p.Input()),
        p.Population("clock", (1,), p.Clock()),
        p.Population("lif", (4,), p.LIF(4095, 0, 100, np.array([1, 2, 3, 4]), 2)),
        p.Population("or", (4,), p.LIF(4095, 4095, 0, reset=False)),
        p.Population("relay", (4,), p.Graded(), 0, 2),
        p.Population("relu", (4,), p.GradedReLU(), 0, 4),
        p.Population("m", (4,), p.Graded(), 0, 30),
        p.Population("c", (4,), p.Product(), 0, 30),
        p.Population("product", (4,), p.Product(), 0, 60),
        p.Population("out", (2,), p.Graded(), -9000, 9000),
    )
    kernel = np.array([4, -2, 2]).reshape(1, 1, 1, 3)
    conv = p.Conv2d(kernel, (1, 1, 4), (1, 1, 4), padding=(0, 1))
    sparse = p.Sparse(np.array([0, 2, 2, 3, 4]), np.array([0, 3, 1, 2]), np.array([1, 2, 3, 4]))
    minus = p.Structured(AXES, AXES, -1)
    js = (
        p.Projection("in->lif", "in", "lif", conv, weight_exp=2),
        p.Projection("lif->or", "lif", "or", sparse),
        p.Projection("lif->relay", "lif", "relay", SAME),
        p.Projection("or->relay", "or", "relay", SAME, pre_view=p.View((2, 2), (1, 0))),
        p.Projection("relay->relu", "relay", "relu", SAME, weight_exp=1),
        p.Projection("relay->m", "relay", "m", SAME),
        p.Projection("relay->c", "relay", "c", SAME, "a_in1"),
        p.Projection("clock->c", "clock", "c", p.Structured((), AXES), "a_in2"),
        p.Projection("m->m", "m", "m", SAME, lag=1),
        p.Projection("c->m", "c", "m", minus, lag=1),
        p.Projection("m->c", "m", "c", SAME, "a_in1", lag=1),
        p.Projection("c->c", "c", "c", minus, "a_in1", lag=1),
        p.Projection("relay->product", "relay", "product", SAME, "a_in1"),
        p.Projection("m->product", "m", "product", SAME, "a_in2"),
        p.Projection("product->out", "product", "out", p.Dense(np.array([[2, -2, 4, 6]] * 2))),
    )
    return BalanceDelays(62).run(p.Program(populations, js, 5, p.Readout("out", 1.0, (0, 0))))


LEGAL = legal()
EACH = (1,) * LEGAL.timesteps


def test_the_program_is_legal() -> None:
    check_program(LEGAL, balanced=True)
    unbalanced = replace(
        LEGAL,
        populations=tuple(replace(q, phase=-1) for q in LEGAL),
        projections=tuple(replace(j, delay=0) for j in LEGAL.projections),
    )
    check_program(unbalanced, balanced=False)
    with pytest.raises(SfxError) as error:
        check_program(unbalanced, balanced=True)
    assert {q.code for q in error.value.problems} == {"SFX-E350", "SFX-E351"}


def pop(name: str, **changes: object) -> Callable[[], p.Program]:
    return lambda: with_population(LEGAL, replace(LEGAL[name], **changes))  # type: ignore[arg-type]


def neuron(name: str, **changes: object) -> Callable[[], p.Program]:
    return pop(name, neuron=replace(LEGAL[name].neuron, **changes))  # type: ignore[arg-type]


def proj(name: str, **changes: object) -> Callable[[], p.Program]:
    return lambda: with_projection(
        LEGAL,
        replace(projection(LEGAL, name), **changes),  # type: ignore[arg-type]
    )


def connection(name: str, **changes: object) -> Callable[[], p.Program]:
    made = replace(projection(LEGAL, name).connection, **changes)  # type: ignore[arg-type]
    return proj(name, connection=made)


def weight(values: object) -> dict[str, object]:
    return {"weight": np.array(values)}


def whole(**changes: object) -> Callable[[], p.Program]:
    return lambda: replace(LEGAL, **changes)  # type: ignore[arg-type]


def conv(**changes: object) -> Callable[[], p.Program]:
    return connection("in->lif", **changes)


def sparse(**changes: object) -> Callable[[], p.Program]:
    return connection("lif->or", **changes)


def structured(pre: object, post: object) -> Callable[[], p.Program]:
    return connection("relay->m", pre=pre, post=post)


def high_threshold(q: p.Population) -> p.Population:
    """From 64 on, what stays below the threshold no longer decays to 0 at once."""
    return replace(q, neuron=replace(q.neuron, vth=64))  # type: ignore[arg-type]


I64 = np.int64
WIDE = sparse(data=np.array([200, 200, 200, 200]))()
BROKEN: list[tuple[str, str, Callable[[], p.Program]]] = [
    # names, ends, whole facts
    ("SFX-E330", "lif", whole(populations=(*LEGAL.populations, LEGAL["lif"]))),
    ("SFX-E330", "in->lif", whole(projections=(*LEGAL.projections, LEGAL.projections[0]))),
    ("SFX-E331", "in->lif", proj("in->lif", pre="nobody")),
    ("SFX-E331", "in->lif", proj("in->lif", post="nobody")),
    ("SFX-E331", "in->lif", proj("in->lif", port="a_in1")),
    ("SFX-E331", "relay->m", proj("relay->m", post="in", lag=1)),
    ("SFX-E332", "model", whole(timesteps=0)),
    ("SFX-E332", "model", pop("lif", neuron=p.Input())),
    ("SFX-E332", "clock", pop("clock", shape=(2,))),
    ("SFX-E332", "nobody", whole(readout=p.Readout("nobody", 1.0, ()))),
    ("SFX-E332", "out", whole(readout=p.Readout("out", 1.0, (0,)))),
    ("SFX-E332", "out", whole(readout=p.Readout("out", 0.0, (0, 0)))),
    ("SFX-E332", "out", whole(readout=p.Readout("out", float("nan"), (0, 0)))),
    ("SFX-E332", "out", whole(readout=p.Readout("out", 1.0, (0, -1 << 62)))),
    ("SFX-E332", "out", whole(readout=p.Readout("out", 1.0, (0, 0), (1, 1, 1)))),
    ("SFX-E332", "out", whole(readout=p.Readout("out", 1.0, (0, 0), EACH, largest=True))),
    ("SFX-E332", "out", whole(readout=p.Readout("out", 1.0, (0, 0), (1 << 31, *EACH[1:])))),
    # types
    ("SFX-E333", "lif", neuron("lif", vth=1.5)),
    ("SFX-E333", "lif", neuron("lif", bias_mant=np.zeros(4))),
    ("SFX-E333", "relay", pop("relay", high=2.0)),
    ("SFX-E333", "in->lif", proj("in->lif", weight_exp=0.5)),
    ("SFX-E333", "in->lif", conv(weight=np.ones((1, 1, 1, 3)))),
    ("SFX-E333", "lif->or", sparse(data=np.ones(4, np.int32))),
    # sizes
    ("SFX-E334", "or", pop("or", shape=(0,))),
    ("SFX-E334", "product->out", connection("product->out", **weight([[2, 4, 6]] * 2))),
    ("SFX-E334", "product->out", connection("product->out", **weight([2, 4, 6, 8]))),
    ("SFX-E334", "lif->or", sparse(indptr=np.array([0, 2, 2, 3]))),
    ("SFX-E334", "lif->or", sparse(indptr=np.array([0, 3, 2, 3, 4]))),
    ("SFX-E334", "lif->or", sparse(indptr=np.array([1, 2, 2, 3, 4]))),
    ("SFX-E334", "lif->or", sparse(indptr=np.array([0, 2, 2, 3, 5]))),
    ("SFX-E334", "lif->or", sparse(indices=np.array([0, 4, 1, 2]))),
    ("SFX-E334", "lif->or", sparse(indices=np.array([-1, 3, 1, 2]))),
    ("SFX-E334", "lif->or", sparse(indices=np.array([3, 0, 1, 2]))),
    ("SFX-E334", "lif->or", sparse(indices=np.array([3, 3, 1, 2]))),
    ("SFX-E334", "lif->or", sparse(indices=np.array([0, 1, 2]))),
    ("SFX-E334", "in->lif", conv(weight=np.zeros((1, 1, 3), I64))),
    ("SFX-E334", "in->lif", conv(weight=np.zeros((1, 1, 0, 3), I64))),
    ("SFX-E334", "in->lif", conv(weight=np.zeros((1, 2, 1, 3), I64))),
    ("SFX-E334", "in->lif", conv(stride=(1, 2))),
    ("SFX-E334", "in->lif", conv(stride=(0, 1))),
    ("SFX-E334", "in->lif", conv(padding=(0, -1))),
    ("SFX-E334", "in->lif", conv(padding=(0, 2))),
    ("SFX-E334", "in->lif", conv(dilation=(1, 2))),
    ("SFX-E334", "in->lif", conv(groups=2)),
    ("SFX-E334", "in->lif", conv(groups=0)),
    ("SFX-E334", "in->lif", conv(in_shape=(1, 1, 5), out_shape=(1, 1, 5))),
    ("SFX-E334", "relay->m", structured((("a", 2), ("a", 2)), AXES)),
    ("SFX-E334", "relay->m", structured((("a", 4),), (("a", 2), ("b", 2)))),
    ("SFX-E334", "relay->m", structured((("a", 2),), AXES)),
    ("SFX-E334", "relay->m", structured((("a", 4), ("b", 0)), AXES)),
    ("SFX-E334", "or->relay", proj("or->relay", pre_view=p.View((2, 3), (1, 0)))),
    ("SFX-E334", "or->relay", proj("or->relay", pre_view=p.View((2, 2), (1, 1)))),
    ("SFX-E334", "or->relay", proj("or->relay", post_view=p.View((4,), (0, 1)))),
    # order
    ("SFX-E335", "m->m", proj("m->m", lag=0)),
    ("SFX-E335", "m->m", proj("m->m", lag=-1)),
    ("SFX-E335", "in->lif", whole(populations=LEGAL.populations[::-1])),
    # numbers
    ("SFX-E340", "product->out", connection("product->out", **weight([[3, -2, 4, 6]] * 2))),
    ("SFX-E340", "product->out", connection("product->out", **weight([[256, -2, 4, 6]] * 2))),
    ("SFX-E340", "product->out", connection("product->out", **weight([[256, 2, 4, 6]] * 2))),
    ("SFX-E340", "product->out", connection("product->out", **weight([[-256, -2, 0, 0]] * 2))),
    ("SFX-E340", "in->lif", conv(weight=np.array([3, -2, 2]).reshape(1, 1, 1, 3))),
    ("SFX-E340", "in->lif", conv(weight=np.array([258, -2, 2]).reshape(1, 1, 1, 3))),
    ("SFX-E340", "relay->m", connection("relay->m", weight=256)),
    ("SFX-E340", "lif->or", sparse(data=np.array([1, 2, 3, -4]))),
    ("SFX-E341", "in->lif", proj("in->lif", weight_exp=8)),
    ("SFX-E341", "in->lif", proj("in->lif", weight_exp=-9)),
    ("SFX-E342", "lif", neuron("lif", du=-2)),
    ("SFX-E342", "lif", neuron("lif", du=4096)),
    ("SFX-E342", "lif", neuron("lif", dv=-1)),
    ("SFX-E342", "lif", neuron("lif", dv=4096)),
    ("SFX-E342", "lif", neuron("lif", vth=-1)),
    ("SFX-E342", "lif", neuron("lif", vth=1 << 17)),
    ("SFX-E342", "lif", neuron("lif", bias_mant=np.array(4096))),
    ("SFX-E342", "lif", neuron("lif", bias_mant=np.array(-4097))),
    ("SFX-E342", "lif", neuron("lif", bias_mant=np.zeros(3, I64))),
    ("SFX-E342", "lif", neuron("lif", bias_mant=np.zeros((2, 4), I64))),
    ("SFX-E342", "lif", neuron("lif", bias_exp=8)),
    ("SFX-E342", "lif", neuron("lif", bias_exp=-1)),
    ("SFX-E342", "relay", neuron("relay", vth=-1)),
    ("SFX-E342", "product", neuron("product", exp=32)),
    ("SFX-E342", "in", neuron("in", payload_bits=24)),
    ("SFX-E343", "m", pop("m", high=1 << 23)),
    ("SFX-E343", "m", pop("m", low=-(1 << 23))),
    ("SFX-E343", "m", pop("m", low=5, high=4)),
    # sums
    ("SFX-E344", "lif", conv(weight=np.full((1, 1, 1, 3), 255), stride=(1, 1))),
    ("SFX-E344", "out", pop("product", high=1 << 22)),
    ("SFX-E345", "lif", neuron("lif", du=-1)),
    ("SFX-E346", "or", neuron("or", du=4094)),
    ("SFX-E346", "or", neuron("or", dv=4094)),
    ("SFX-E346", "or", lambda: with_population(WIDE, high_threshold(WIDE["or"]))),
    ("SFX-E346", "or", neuron("or", bias_mant=np.array(-4096))),
    ("SFX-E347", "product", pop("m", high=1 << 21)),
    ("SFX-E348", "relay", pop("relay", high=1)),
    ("SFX-E348", "product", pop("product", high=59)),
    ("SFX-E348", "relu", pop("relu", high=3)),
    ("SFX-E348", "lif", pop("lif", high=0)),
    ("SFX-E348", "in", neuron("in", payload_bits=2)),
    ("SFX-E349", "relay->relu", proj("relay->relu", lag=1, delay=2)),
    ("SFX-E349", "m->product", proj("m->product", lag=1, delay=2)),
    # time
    ("SFX-E350", "in", pop("in", phase=1)),
    ("SFX-E350", "clock", pop("clock", phase=0)),
    ("SFX-E351", "lif->or", proj("lif->or", delay=2)),
    ("SFX-E351", "lif->or", proj("lif->or", delay=0)),
    ("SFX-E351", "lif->or", pop("or", phase=1)),
]


def broken(code: str, where: str, change: Callable[[], p.Program]) -> p.Program:
    program = change()
    if code in ("SFX-E344", "SFX-E345") and where == "lif":  # events with a payload reach further
        loud = replace(program["in"], neuron=p.Input(payload_bits=12), high=4095)
        program = with_population(program, loud)
        if code == "SFX-E345":
            return program
        return with_projection(program, replace(projection(program, "in->lif"), weight_exp=4))
    if code == "SFX-E347":
        loud_relay = replace(program["relay"], high=1 << 13)
        return with_population(program, loud_relay)
    return program


@pytest.mark.parametrize(
    ("code", "where", "change"), BROKEN, ids=[f"{i}-{c}-{w}" for i, (c, w, _) in enumerate(BROKEN)]
)
def test_a_broken_rule_is_named(code: str, where: str, change: Callable[[], p.Program]) -> None:
    with pytest.raises(SfxError) as error:
        check_program(broken(code, where, change), balanced=True)
    found = {(q.code, q.where) for q in error.value.problems}
    assert (code, where) in found, found
    assert error.value.exit_status == 2


def test_every_code_is_tested() -> None:
    tested = {code for code, _, _ in BROKEN}
    numbers = [*range(330, 336), *range(340, 350), 350, 351]
    assert tested == {f"SFX-E{n}" for n in numbers}


def test_every_problem_is_reported_at_once() -> None:
    program = neuron("lif", vth=-1, dv=5000)()
    program = with_population(program, replace(program["relay"], neuron=p.Graded(-1)))
    with pytest.raises(SfxError) as error:
        check_program(program, balanced=True)
    assert [q.where for q in error.value.problems] == ["lif", "lif", "relay"]


def test_a_threshold_bounds_what_a_stateless_lif_keeps() -> None:
    """Many inputs above the threshold fire and leave 0, however large the sum."""
    check_program(WIDE, balanced=True)
    negative = sparse(data=np.array([-64, -64, -64, -64]))()
    with pytest.raises(SfxError, match="SFX-E346"):
        check_program(negative, balanced=True)


def test_a_gated_loop_needs_its_clock() -> None:
    without = replace(
        LEGAL, projections=tuple(j for j in LEGAL.projections if j.name != "clock->c")
    )
    with pytest.raises(SfxError) as error:
        check_program(without, balanced=True)
    assert {q.code for q in error.value.problems} == {"SFX-E349"}
    # c itself, without an input at one of its ports, sends nothing: only m is not cleared
    assert {q.where for q in error.value.problems} == {"m->m", "m->c"}


def test_current_bound_holds_and_is_reached() -> None:
    """The recursion bounds the real current of the worst input, and meets it within rounding."""
    from sfx.backends.reference.neurons import lif

    for du in (-1, 0, 100, 2048, 4094, 4095):
        n = p.LIF(du, 0, (1 << 17) - 1)
        a = np.array([1000, -1000])
        bound = current_bound(n, Bound(np.array([0, -1000]), np.array([1000, 0])), 6, LOIHI)
        state = lif.reset((2,))
        for _ in range(6):
            state, _ = lif.step(n, state, a, LOIHI)
        assert state.u[0] <= bound.high[0] <= state.u[0] + 6
        assert state.u[1] - 6 <= bound.low[1] <= state.u[1]
