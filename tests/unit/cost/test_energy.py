"""The energy formula against the published totals of PilotNet LIF."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.toolchain.compiler.cost.energy import Events, dynamic_energy, dynamic_parts, static_energy
from sfx.toolchain.compiler.cost.estimate import Estimate
from sfx.toolchain.compiler.cost.synops import fan_out
from sfx.toolchain.ir.program import Conv2d, Input, Program
from sfx.toolchain.targets import Target, load
from tests.unit.mapping.programs import Net, lif

SYNOPS = (2.921e7, 8.90e6, 4.38e6, 3.85e6, 2.42e6, 4.9e5)
SPIKES = (565_197, 117_043, 43_897, 15_230, 9_668, 4_946)
PILOTNET = Events(
    synops_conv=sum(SYNOPS),
    accesses=2.536e6,
    updates=2.536e6,
    fired=sum(SPIKES),
    messages=sum(SPIKES),
)
"""16 steps of PilotNet LIF: its published event counts, one message a spike, hops left out."""


def test_pilotnet_with_loihi1_constants() -> None:
    energy = dynamic_energy(PILOTNET, 16, 1, load("loihi1"))
    assert energy.value == pytest.approx(1.503e-3, rel=1e-3)


def test_pilotnet_with_the_constants_of_davies_2018() -> None:
    target = with_costs(
        load("loihi1"),
        e_synop_conv=23.6e-12,
        e_access=52e-12,
        e_update=29e-12,
        e_fired=1e-30,
        e_message=1.7e-12,
    )
    assert dynamic_energy(PILOTNET, 16, 1, target).value == pytest.approx(1.369e-3, rel=1e-3)


def test_pilotnet_on_loihi2_is_what_was_measured() -> None:
    energy = dynamic_energy(PILOTNET, 16, 1, load("loihi2"))
    assert energy.value == pytest.approx(1.0935e-3, rel=0.005)  # k is given to two digits
    assert energy.low == pytest.approx(energy.value / 2, rel=0.01)
    assert energy.high == pytest.approx(energy.value * 2, rel=0.01)


def test_k_is_what_the_measurement_asks_for() -> None:
    floor = 16 * load("loihi2").costs["e_step"].value
    k = (1.0935e-3 - floor) / dynamic_energy(PILOTNET, 16, 1, load("loihi1")).value
    assert round(k, 2) == load("loihi2").costs["k"].value


def test_pilotnet_in_all() -> None:
    """1.6611 mJ were measured in all: 0.2321 W static for 16 steps of 152.84 us."""
    target = load("loihi2")
    seconds = 16 * 152.84e-6
    static = static_energy(Estimate(seconds, seconds, seconds, "s"), 1, target)
    total = dynamic_energy(PILOTNET, 16, 1, target) + static
    assert total.value == pytest.approx(1.6611e-3, rel=0.04)
    assert total.low < 1.6611e-3 < total.high


def test_small_nets_have_a_wider_range() -> None:
    small = replace(PILOTNET, **{f.name: getattr(PILOTNET, f.name) / 100 for f in fields(Events)})
    energy = dynamic_energy(small, 16, 1, load("loihi2"))
    assert energy.value < 50e-6
    assert energy.low == pytest.approx(energy.value / 3, rel=0.05)
    assert energy.high == pytest.approx(energy.value * 3, rel=0.05)


def test_the_floor_is_per_step_and_chip() -> None:
    parts = dynamic_parts(Events(), 100, 3, load("loihi2"))
    assert parts["steps"].value == pytest.approx(100 * 3 * 34e-9)
    assert parts["steps"].low == pytest.approx(100 * 3 * 26.7e-9, rel=1e-3)
    assert parts["steps"].high == pytest.approx(100 * 3 * 44.1e-9, rel=1e-3)
    assert dynamic_energy(Events(), 100, 3, load("loihi1")).value == 0


@given(st.tuples(*[st.floats(0, 1e9)] * 9))
def test_every_estimate_lies_in_its_range(counts: tuple[float, ...]) -> None:
    for name in ("loihi1", "loihi2", "hala-point"):
        for part in dynamic_parts(Events(*counts), 7, 2, load(name)).values():
            assert 0 <= part.low <= part.value <= part.high


def with_costs(target: Target, **values: float) -> Target:
    changed = {name: replace(target.costs[name], value=v) for name, v in values.items()}
    return replace(target, costs=target.costs | changed)


# --- the event counts themselves, from Intel's reference spikes --------------------------------

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "pilotnet_lif"
LAYERS = ((3, 66, 200), (24, 32, 99), (36, 15, 49), (48, 7, 24), (64, 4, 22), (64, 2, 20))
STRIDES = ((2, 2), (2, 2), (2, 2), (2, 1), (1, 1))
PADDING = ((0, 0), (0, 0), (0, 0), (1, 0), (0, 0))


def pilotnet_convolutions() -> Program:
    """The five convolutions with every weight counted, whatever its value."""
    net = Net(16)
    net.add("in", LAYERS[0], Input())
    for i, (stride, padding) in enumerate(zip(STRIDES, PADDING, strict=True)):
        weight = np.full((LAYERS[i + 1][0], LAYERS[i][0], 3, 3), 2, dtype=np.int64)
        c = Conv2d(weight, LAYERS[i], LAYERS[i + 1], stride, padding)
        net.add(f"conv-{i}", LAYERS[i + 1], lif(), ("in" if i == 0 else f"conv-{i - 1}", c))
    return net.done("conv-4")


@pytest.mark.skipif(not DATA.is_dir(), reason="the PilotNet reference spikes are not here")
def test_pilotnet_synops_from_the_reference_spikes() -> None:
    program = pilotnet_convolutions()
    for j, published in zip(program.projections, SYNOPS, strict=False):
        name = "input" if j.pre == "in" else j.pre
        spikes = np.load(DATA / f"{name}.npy")[..., :16]  # (W, H, C, steps)
        per_neuron = spikes.sum(axis=-1).transpose(2, 1, 0).ravel()
        assert per_neuron.sum() == SPIKES[program.projections.index(j)]
        counted = int(per_neuron @ fan_out(program, j))
        assert counted == pytest.approx(published, rel=2e-3), j.name
