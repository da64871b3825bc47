"""The cost model on a net small enough to count by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from sfx.toolchain.compiler.cost.activity import Activity
from sfx.toolchain.compiler.cost.energy import Events
from sfx.toolchain.compiler.cost.loads import count_loads
from sfx.toolchain.compiler.cost.model import Cost, estimate
from sfx.toolchain.compiler.cost.operations import operations
from sfx.toolchain.compiler.cost.proxy import Proxy
from sfx.toolchain.compiler.cost.synops import fan_out, synops
from sfx.toolchain.ir import connections
from sfx.toolchain.ir.facts import Coincidence
from sfx.toolchain.ir.program import Clock, Input, Program, Structured
from sfx.toolchain.targets import load
from tests.unit.cost.toy import Counts, toy_counts, toy_placed, toy_target
from tests.unit.mapping.in_order import in_order
from tests.unit.mapping.programs import Net, lif, transformer_like


def toy_cost(**costs: float) -> Cost:
    target = toy_target(**costs)
    return estimate(toy_placed(target), target, toy_counts())


# --- events ------------------------------------------------------------------------------------


def test_events_by_hand() -> None:
    """3 input spikes x 4 synapses and 3 spikes of a x 1; each input spike reaches two cores."""
    cost = toy_cost()
    assert cost.events == Events(
        synops_dense=12 + 3,
        accesses=(4 + 2) * 2,
        updates=6 + 3,
        fired=3 + 1,
        messages=3 * 2 + 3,
        hops_ew=3 + 2,  # the host sits at (0, 0), core 1 at (1, 0)
        hops_ns=1 + 2,  # to core 2 at (0, 1)
    )
    assert (cost.cores, cost.chips) == (3, 1)


def test_dynamic_energy_by_hand() -> None:
    cost = toy_cost(
        k=2.0,
        e_synop_dense=3.0,
        e_access=5.0,
        e_update=7.0,
        e_fired=11.0,
        e_message=13.0,
        e_hop_ew=17.0,
        e_hop_ns=19.0,
        e_step=1000.0,
    )
    synapses, neurons, network = 15 * 3, 12 * 5 + 9 * 7 + 4 * 11, 9 * 13 + 5 * 17 + 3 * 19
    assert cost.parts["synapses"].value == 2 * synapses
    assert cost.parts["neurons"].value == 2 * neurons
    assert cost.parts["network"].value == 2 * network
    assert cost.parts["steps"].value == 2 * 1000
    assert cost.dynamic.value == 2 * (synapses + neurons + network) + 2000
    assert (cost.dynamic.low, cost.dynamic.high) == (cost.dynamic.value / 2, cost.dynamic.value * 2)


def test_energy_is_charged_to_populations() -> None:
    cost = toy_cost(e_synop_dense=3.0, e_access=5.0, e_fired=11.0, e_message=13.0)
    assert {p.name: p.energy.value for p in cost.populations} == {
        "input": 6 * 13,
        "a": 12 * 3 + 8 * 5 + 3 * 11 + 3 * 13,
        "b": 3 * 3 + 4 * 5 + 11,
    }
    assert sum(p.energy.value for p in cost.populations) == cost.dynamic.value
    a = next(p for p in cost.populations if p.name == "a")
    assert (a.kind, a.neurons, a.cores, a.spikes, a.rate) == ("LIF", 4, 2, 3.0, 3 / 8)


def test_counts_of_two_samples_are_averaged() -> None:
    counts = toy_counts()
    twice = Counts(
        2,
        {k: 2 * v for k, v in counts.events.items()},
        {k: 2 * v for k, v in counts.active.items()},
    )
    target = toy_target(e_synop_dense=3.0)
    assert estimate(toy_placed(target), target, twice).events == toy_cost().events


# --- time --------------------------------------------------------------------------------------


def test_loads_by_hardware_step() -> None:
    """a works at odd steps on t = 0, b at even ones; spikes arrive one step after they leave."""
    target = toy_target()
    placed = toy_placed(target)
    loads = count_loads(placed, target, Activity.mean(placed.program, toy_counts()))
    assert loads.cores == ((0, 0), (0, 1), (0, 2))
    assert loads.synops["dense"].tolist() == [[2, 2, 2], [4, 4, 1]]
    assert loads.fired.tolist() == [[0, 1, 1], [1, 1, 0]]
    assert loads.updates.tolist() == [[0, 2, 2], [2, 2, 1]]
    assert loads.received.tolist() == [[2, 2, 1], [1, 1, 2]]
    assert loads.sent.tolist() == [[0, 1, 0], [1, 1, 0]]
    assert loads.host.tolist() == [4, 2]
    assert loads.words.tolist() == [[1, 1, 2], [2, 2, 1]]  # a list of two fits a word
    assert loads.link.tolist() == [2 * 32, 2 * 32]
    assert loads.chip_link.tolist() == [0, 0]


def test_step_time_is_the_largest_term_of_each_step() -> None:
    """Synops take 20 and 40, the barrier 25: the steps take 25 and 40."""
    times = toy_cost(t_synop_dense=10.0, t_barrier=25.0).timing
    assert times.step.value == (25 + 40) / 2
    assert times.sample.value == 65
    assert times.latency.value == 32.5 * (2 + 2)  # T + phase(output)
    assert times.throughput.value == pytest.approx(1 / 65)
    assert (times.throughput.low, times.throughput.high) == pytest.approx((1 / 130, 1 / 32.5))
    by_name = {t.name: t for t in times.terms}
    assert times.terms[0].name == "synaptic operations"
    assert (by_name["synaptic operations"].steps, by_name["barrier"].steps) == (1, 1)
    assert by_name["synaptic operations"].core == (0, 0)
    assert by_name["synaptic operations"].populations == ("a",)
    assert by_name["barrier"].core is None


@pytest.mark.parametrize(
    ("costs", "steps"),
    [
        ({"t_access": 1.0}, [2, 2]),
        ({"t_access": 1.0, "t_fired": 3.0}, [5, 5]),
        ({"t_update": 1.0}, [2, 2]),
        ({"t_memory_word": 1.0}, [2, 2]),
        ({"t_message_in": 5.0}, [10, 10]),
        ({"t_message_out": 5.0}, [5, 5]),
        ({"t_link_bit": 1.0}, [64, 64]),
        ({"t_host_message": 1.0}, [4, 2]),
        ({"t_barrier": 3.0, "t_barrier_per_doubling": 100.0}, [3, 3]),  # one chip
    ],
)
def test_each_term_alone(costs: dict[str, float], steps: list[float]) -> None:
    assert toy_cost(**costs).timing.sample.value == sum(steps)


def test_static_energy_is_power_times_chips_times_the_time_of_a_sample() -> None:
    cost = toy_cost(p_static=2.0, t_barrier=25.0)
    assert cost.static.value == 2 * 1 * 50
    assert (cost.static.low, cost.static.high) == (100 / 4, 100 * 4)
    assert cost.total.value == cost.dynamic.value + 100


def test_two_chips() -> None:
    """Core 4 of a 4-core chip is core 0 of the next: messages cross one border."""
    target = toy_target(p_static=1.0, t_chip_link_bit=1.0, e_hop_ew=1.0)
    placed = toy_placed(target)
    blocks = list(placed.blocks)
    blocks[2] = replace(blocks[2], chip=1, core=0)  # b at router (2, 0)
    moved = replace(placed, blocks=tuple(blocks))
    cost = estimate(moved, target, toy_counts())
    assert cost.chips == 2
    assert cost.chip_crossings == 3
    assert cost.events.hops_ew == 3 + (2 + 1 + 1)  # a0 travels two, a2 and a3 one
    assert cost.timing.sample.value == (2 + 1) * 32
    assert cost.static.value == 1 * 2 * 96


# --- the rest ----------------------------------------------------------------------------------


def test_a_message_per_core_not_per_projection() -> None:
    """Two projections between the same populations: one message, two synaptic operations."""
    net = Net(1)
    axes = (("n", 2),)
    net.add("input", (2,), Input())
    net.add("a", (2,), lif(), ("input", Structured(axes, axes)), ("input", Structured(axes, axes)))
    target = toy_target()
    placed = in_order(net.done("a"), target)
    counts = Counts(1, {"input": np.array([[1, 1]]), "a": np.zeros((1, 2), int)})
    events = estimate(placed, target, counts).events
    assert (events.messages, events.synops_conv) == (2, 4)


def test_delays_move_the_work_not_its_amount() -> None:
    target = toy_target()
    placed = toy_placed(target)
    program = placed.program
    late = replace(
        program, projections=(program.projections[0], replace(program.projections[1], delay=2))
    )
    activity = Activity.mean(program, toy_counts())
    now, then = (count_loads(replace(placed, program=p), target, activity) for p in (program, late))
    assert now.total == then.total
    assert then.synops["dense"][:, 2].tolist() == now.synops["dense"][::-1, 2].tolist()


@pytest.mark.parametrize(("every", "ticks"), [(0, 1), (2, 3)])
def test_clocks_tick_at_the_last_step(every: int, ticks: int) -> None:
    net = Net(6)
    net.add("input", (1,), Input())
    net.add("clock", (1,), Clock(every))
    one = Structured((("n", 1),), (("n", 1),))
    net.add("a", (1,), lif(), ("input", one), ("clock", one))
    target = toy_target()
    placed = in_order(net.done("a"), target)
    counts = Counts(1, {"input": np.zeros((6, 1)), "a": np.zeros((6, 1))})
    assert estimate(placed, target, counts).events.messages == ticks


def test_missing_counts_are_an_error_not_zero() -> None:
    target = toy_target()
    counts = toy_counts()
    with pytest.raises(ValueError, match="no event counts of population a"):
        only = {"input": counts.events["input"]}
        estimate(toy_placed(target), target, replace(counts, events=only))


def done(program: Program, counts: dict[str, np.ndarray]) -> Proxy:
    """All layers of one sample."""
    found = operations(program, Activity.mean(program, Counts(1, counts)))
    return Proxy.sum(layer.done for layer in found)


def test_the_operation_proxy_by_hand() -> None:
    """Binary spikes accumulate, graded ones multiply; the twin runs every weight once."""
    program = transformer_like(2)
    counts = {p.name: np.ones((2, p.size)) for p in program}
    proxy = done(program, counts)
    per_step = {j.name: int(fan_out(program, j).sum()) for j in program.projections}
    graded = {j.name for j in program.projections if program[j.pre].graded}
    assert graded == {"input->stem.0", "sum->gate.0"}
    assert proxy.multiplies == 2 * (sum(per_step[n] for n in graded) + 128)  # kv multiplies
    assert proxy.accumulates == 2 * sum(v for k, v in per_step.items() if k not in graded)
    weighted = ("input->stem.0", "pool->q.0", "pool->k.0", "gate->head.0")  # pools add
    assert proxy.dense_macs == sum(per_step[n] for n in weighted) + 128  # kv multiplies; sums add
    expected = 0.9e-12 * proxy.accumulates + 4.6e-12 * proxy.multiplies
    assert proxy.snn_j == pytest.approx(expected)
    assert proxy.ann_j == pytest.approx(4.6e-12 * proxy.dense_macs)
    assert not program["q"].neuron.multiplies
    known = replace(program, facts=(Coincidence("q", "pool->q.0", "pool->q.0"),))
    coinciding = done(known, counts)
    assert coinciding == replace(proxy, dense_macs=proxy.dense_macs + program["q"].size)


def test_synops_do_not_depend_on_the_placement() -> None:
    program = transformer_like()
    rng = np.random.default_rng(1)
    events = {p.name: rng.integers(0, 2, (4, *p.shape)) for p in program}
    counts = Counts(1, events)
    expected = sum(
        int(
            events[j.pre].reshape(4, -1).sum(0)
            @ (connections.matrix(j, program[j.pre].size, program[j.post].size) != 0).sum(0).A1
        )
        for j in program.projections
    )
    assert synops(program, counts) == expected > 0
    for neurons in (40, 8192):
        limits = replace(load("loihi2").limits, neurons_per_core=neurons)
        target = replace(load("loihi2"), limits=limits)
        cost = estimate(in_order(program, target), target, counts)
        assert cost.events.synops == expected
        assert sum(c.synops for c in cost.per_core) == expected
        spikes = sum(int(events[p.name].sum()) for p in program if p.name != "input")
        assert cost.events.fired == spikes


@pytest.mark.parametrize("name", ["loihi2", "kapoho-point", "hala-point"])
def test_values_are_plain_and_inside_their_ranges(name: str) -> None:
    program, target = transformer_like(), load(name)
    counts = Counts(3, {p.name: np.full((4, *p.shape), 1) for p in program})
    values = estimate(in_order(program, target), target, counts).as_dict()
    json.dumps(values, allow_nan=False)
    assert {"dynamic_j", "total_j", "op_proxy_j", "uncertainty"} <= set(values["energy"])
    assert {"step_s", "latency_s", "throughput_hz", "uncertainty"} <= set(values["latency"])
    for group in values.values():
        for key, (low, high) in group["uncertainty"].items():
            assert low <= group[key] <= high, key
            assert group[key] > 0 or key in ("steps_j",), key
    assert values["energy"]["sources"]["k"] == target.costs["k"].source
    assert values["latency"]["sources"]["t_barrier"] == target.costs["t_barrier"].source


def test_synchronization_comes_after_the_work_and_grows_with_the_routers() -> None:
    target = toy_target(t_access=1.0, t_barrier=3.0)
    plain = estimate(toy_placed(target), target, toy_counts()).timing.step
    target = toy_target(t_access=1.0, t_barrier=3.0, t_sync=10.0, t_sync_per_doubling=4.0)
    synced = estimate(toy_placed(target), target, toy_counts()).timing.step
    assert plain.value == 3.0
    assert synced.value == pytest.approx(3.0 + 10.0 + 4.0 * np.log2(3))  # three routers in use
    assert synced.high == pytest.approx(plain.high + 2 * (10.0 + 4.0 * np.log2(3)))
