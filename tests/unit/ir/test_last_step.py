"""Negative lags: only of what speaks at a sample's last step, at most T - 1 steps early.

The same of groups of steps: a clock of their own ticks at the end of each.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.backends.base import align
from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.bounds import port_bounds
from sfx.toolchain.ir.check import check_graph
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.last_step import once_per_sample
from tests.graphs import Builder
from tests.unit.fast.test_equal import differences

T, N = 5, 3


def totals(steps: int = T, group: int = 0) -> tuple[p.Program, np.ndarray]:
    """Spikes -> their sum over the sample, or group -> a neuron that compares it with the step's
    spike.
    """
    return quantized(graph_of(steps, group), steps)


def graph_of(steps: int, group: int) -> g.Graph:
    b = Builder()
    b.add("input", g.Input(), shape=(N,))
    b.add("lif", g.LIF(0.5, 0.4), "input", shape=(N,))
    b.add("total", g.TimeSum(group), "lif", shape=(N,))
    b.add("gated", g.Product(), "total", "lif", shape=(N,))
    b.add("out", g.LIF(0.5, 1.0), "gated", shape=(N,))
    b.add("head", g.Linear(np.ones((2, N)), np.zeros(2)), "out", shape=(2,))
    b.add("output", g.Output("mean"), "head", shape=(2,))
    return g.Graph(g.topological(tuple(b.nodes.values())), steps)


def quantized(graph: g.Graph, steps: int) -> tuple[p.Program, np.ndarray]:
    x = np.random.default_rng(0).integers(0, 2, (4, steps, N))
    return quantize(graph, x).program, x


@pytest.mark.parametrize("max_delay", [62, 2, 1])
def test_the_total_is_there_at_every_step_relays_or_not(max_delay: int) -> None:
    unbalanced, x = totals()
    program = BalanceDelays(max_delay).run(unbalanced)
    check_program(program, balanced=True)
    relays = [q.name for q in program if q.name.startswith("total.memory.clear.relay")]
    assert bool(relays) == (max_delay < T)
    assert set(once_per_sample(program)) == {"total.memory.clear", *relays}
    layers = ReferenceBackend().layers(program, x)
    counted = layers["lif"].sum(axis=1, keepdims=True)
    assert counted.any()
    assert np.array_equal(layers["total"], np.broadcast_to(counted, layers["total"].shape))
    stream = ReferenceBackend().stream(program, x, garbage=5)
    for q in program:
        mine = align(stream.spikes[q.name], q.phase, len(x), T)
        assert np.array_equal(mine, layers[q.name]), q.name
    quick = FastBackend().layers(program, x)
    assert all(np.array_equal(quick[name], layers[name]) for name in layers)


@pytest.mark.parametrize("max_delay", [62, 2, 1])
@pytest.mark.parametrize(("steps", "group"), [(6, 2), (6, 3), (8, 4), (4, 1), (4, 4)])
def test_the_sum_of_a_group_is_there_at_each_of_its_steps(
    steps: int, group: int, max_delay: int
) -> None:
    unbalanced, x = totals(steps, group)
    program = BalanceDelays(max_delay).run(unbalanced)
    check_program(program, balanced=True)
    (clock,) = [q for q in program if isinstance(q.neuron, p.Clock)]
    assert clock.neuron == p.Clock(group % steps)
    assert {ends.every for ends in once_per_sample(program).values()} == {group}
    assert program["total"].high == program["total.memory"].high == group
    layers = ReferenceBackend().layers(program, x)
    counted = layers["lif"].reshape(len(x), -1, group, N).sum(axis=2)
    assert counted.any(axis=(0, 2)).all()
    assert np.array_equal(layers["total"], np.repeat(counted, group, axis=1))
    stream = ReferenceBackend().stream(program, x, garbage=5)
    for q in program:
        mine = align(stream.spikes[q.name], q.phase, len(x), steps)
        assert np.array_equal(mine, layers[q.name]), q.name
    for quick in (FastBackend(), FastBackend(device="torch-cpu")):
        assert differences(ReferenceBackend().run(program, x), quick.run(program, x)) == []


def test_of_several_early_reads_one_delivers_at_a_time() -> None:
    program, _ = totals()
    assert program["total"].high == T
    bound = port_bounds(program, program["total"])["a_in"]
    assert (int(bound.low.min()), int(bound.high.max())) == (0, T)


def test_reads_of_several_groups_count_together() -> None:
    """Lags as far apart as a group has steps may bring the sums of two groups at once."""
    program, _ = totals(6, 3)
    assert int(port_bounds(program, program["total"])["a_in"].high.max()) == 3
    first = next(j for j in program.projections if j.lag == -1)
    wide = changed(program, 2)
    assert {j.lag for j in wide.incoming["total"]} == {0, 2, -2}
    assert int(port_bounds(wide, wide["total"])["a_in"].high.max()) == 9
    assert first.post == "total"


def changed(program: p.Program, lag: int, *, pre: str = "") -> p.Program:
    """The program with another lag (and pre) of the first early read."""
    early = next(j for j in program.projections if j.lag == -1)
    other = replace(early, lag=lag, pre=pre or early.pre)
    return replace(
        program, projections=tuple(other if j is early else j for j in program.projections)
    )


def codes(program: p.Program) -> set[str]:
    with pytest.raises(SfxError) as raised:
        check_program(program, balanced=False)
    return {problem.code for problem in raised.value.problems}


def test_an_early_read_of_the_next_sample_is_refused() -> None:
    program, _ = totals()
    check_program(program, balanced=False)
    assert "SFX-E349" in codes(changed(program, -T))
    assert "SFX-E349" in codes(changed(program, -1, pre="lif"))
    assert "SFX-E349" in codes(changed(program, -1, pre="total.memory"))


def test_an_early_read_of_the_next_group_is_refused() -> None:
    program, _ = totals(6, 3)
    check_program(program, balanced=False)
    assert "SFX-E349" in codes(changed(program, -3))
    whole, _ = totals(6, 6)
    check_program(whole, balanced=False)
    assert {j.lag for j in whole.incoming["total"]} >= {-3}


@pytest.mark.parametrize("every", [4, -2, 12])
def test_a_clock_whose_ticks_do_not_fit_the_sample_is_refused(every: int) -> None:
    program, _ = totals(6, 3)
    other = replace(program["clock.3"], neuron=p.Clock(every))
    wrong = tuple(other if q.name == other.name else q for q in program)
    with pytest.raises(SfxError, match="no whole number of ticks") as raised:
        check_program(replace(program, populations=wrong), balanced=False)
    assert raised.value.code == "SFX-E332"


def test_a_graph_whose_groups_do_not_fit_the_sample_is_refused() -> None:
    with pytest.raises(SfxError, match="groups of 4 steps, but T is 6") as raised:
        check_graph(graph_of(6, 4))
    assert raised.value.code == "SFX-E230"


def test_an_early_read_of_what_comes_later_is_refused() -> None:
    program, _ = totals()
    names = [q.name for q in program]
    at = names.index("total")
    order = (program.populations[at], *program.populations[:at], *program.populations[at + 1 :])
    assert "SFX-E335" in codes(replace(program, populations=order))
