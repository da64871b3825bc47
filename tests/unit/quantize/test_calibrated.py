"""Thresholds that lie where the integers meet them, decays as a leak, streams of two mantissas."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.cells import calibrated, cell
from sfx.toolchain.compiler.quantize.fit.payload import InTwo
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.evaluate import run
from tests.graphs import with_op
from tests.neurons import net

STEPS, INPUTS = 120, 200


@pytest.fixture(autouse=True)
def unproved(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no register held a worst case."""
    monkeypatch.setattr(cell, "_smoothest", lambda cells: None)


def creeping() -> g.Graph:
    """Biases that reach the threshold by themselves, slowly, and one weight that takes the bits."""
    soft = g.LIF(0.1, 1.0, gain=10.0, subtract=True)
    graph = net(soft, timesteps=STEPS, size=40, inputs=INPUTS, dyadic=False, seed=2)
    weight = np.random.default_rng(3).normal(0, 0.7, (40, INPUTS))
    weight[0, 0] = -40.0
    return with_op(graph, "fc", weight=weight, bias=np.linspace(0.108, 0.134, 40))


def sparse(samples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = (rng.random((samples, STEPS, INPUTS)) < 0.002).astype(np.int64)
    x[:, STEPS // 2, 0] = 1
    return x


def wrong(graph: g.Graph, program: p.Program, x: np.ndarray) -> tuple[int, int]:
    """Wrong spikes of "cell", and how many it sends."""
    got, expected = ReferenceBackend().layers(program, x)["cell"], run(graph, x)["cell"]
    return int(np.count_nonzero(got != expected)), int(expected.sum())


def program_of(graph: g.Graph, x: np.ndarray) -> p.Program:
    program = BalanceDelays(62).run(quantize(lower(graph), x).program)
    check_program(program, balanced=True)
    return program


def test_thresholds_follow_what_rounding_does_to_neurons_that_creep(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graph, x, unseen = creeping(), sparse(6, 0), sparse(6, 1)
    made = program_of(graph, x)
    n, spikes = wrong(graph, made, unseen)
    monkeypatch.setattr(calibrated._Drift, "offset", lambda drift: np.zeros(40))
    before, same = wrong(graph, program_of(graph, x), unseen)
    assert spikes == same > 1_000
    assert n < 0.5 * before


@pytest.fixture
def leaky(monkeypatch: pytest.MonkeyPatch) -> p.Program:
    plain = program_of(creeping(), sparse(6, 0))
    monkeypatch.setattr(cell, "compared_cell", cell.leaking_cell)
    program = program_of(creeping(), sparse(6, 0))
    kept, lost = plain["cell.membrane"].neuron, program["cell.leak"].neuron
    assert isinstance(kept, p.Product)
    assert isinstance(lost, p.Product)
    assert lost.exp > kept.exp  # bits of a factor
    assert program["cell.membrane"].neuron == p.Product(exp=0)
    return program


def test_a_leak_is_the_same_neuron_on_every_backend(leaky: p.Program) -> None:
    program, unseen = leaky, sparse(3, 5)
    n, spikes = wrong(creeping(), program, unseen)
    assert n < 0.02 * spikes > 10
    expected = ReferenceBackend().layers(program, unseen)
    assert expected["cell.leak"].any()
    layers = FastBackend().layers(program, unseen)
    assert all(np.array_equal(layers[name], sent) for name, sent in expected.items())
    sums = ReferenceBackend().run(program, unseen).sums
    assert FastBackend().run(program, unseen).sums.tolist() == sums.tolist()
    pytest.importorskip("onnxruntime")
    from sfx.backends.onnx.backend import OnnxBackend

    assert OnnxBackend().run(program, unseen).sums.tolist() == sums.tolist()


@pytest.mark.needs_lava
@pytest.mark.slow
def test_lava_sends_what_the_reference_sends(leaky: p.Program) -> None:
    from sfx.backends.lava.backend import LavaBackend

    program, unseen = leaky, sparse(1, 5)
    expected, got = (b.stream(program, unseen) for b in (ReferenceBackend(), LavaBackend()))
    for q in program:
        assert np.array_equal(got.spikes[q.name], expected.spikes[q.name]), q.name
    assert expected.spikes["cell.leak"].any()
    assert expected.spikes["cell"].sum() > 100


def test_two_mantissas_are_legal_and_sixteen_bits_fine() -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(5, 7)), np.abs(rng.normal(size=(3, 2)))]
    rounded = InTwo(weights, LOIHI)
    gain = rounded.gain
    made = rounded(gain)
    for w, value in zip(weights, made.values(), strict=True):
        assert np.abs(value / gain - w).max() <= 0.51 / gain / 128
    high, low = made.weights[:2]
    assert not (high & 1).any()
    assert np.abs(high).max() <= 256
    assert 0 <= low.min() <= low.max() <= 255


def test_what_soft_resets_pool_keeps_sixteen_bits() -> None:
    """A max-pool of currents before a soft reset: its relay has a mantissa for the low bits."""
    rng = np.random.default_rng(4)
    soft = g.LIF(0.06, 1.0, gain=1 / 0.06, subtract=True)
    nodes = (
        g.Node("input", g.Input(), (), (2, 8, 8)),
        g.Node(
            "conv",
            g.Conv2d(rng.normal(0, 40, (3, 2, 5, 5)), np.full(3, 0.05), (1, 1), (2, 2)),
            (("input",),),
            (3, 8, 8),
        ),
        g.Node("relay", g.Relay(), (("conv",),), (3, 8, 8)),
        g.Node("cell", soft, (("relay",),), (3, 8, 8), "cell"),
        g.Node("output", g.Output("sum"), (("cell",),), (3, 8, 8)),
    )
    graph = replace(g.Graph(g.topological(nodes), 25))
    x = (rng.random((4, 25, 2, 8, 8)) < 0.01).astype(np.int64)
    made = quantize(lower(graph), x)
    (record,) = (r for r in made.records if r.population == "relay")
    assert record.weight_error < 1e-3


def test_what_drift_should_cost_is_what_it_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong spikes are counted where the real ones are fed back: what `flips` speaks of."""
    graph, x = creeping(), sparse(6, 0)
    found: list[tuple[float, int]] = []
    of = calibrated._Drift.of.__func__  # type: ignore[attr-defined]

    def looked(cls: Any, draft: Any, real: Any, made: Any, reached: Any) -> Any:
        drift = of(cls, draft, real, made, reached)
        wanted = (reached.before - np.float64(real.threshold)) * made.scale
        mine = np.where(drift.near, drift.above + wanted, wanted) > 0
        found.append((drift.flips(), int(np.count_nonzero(mine != reached.spikes.astype(bool)))))
        return drift

    monkeypatch.setattr(calibrated._Drift, "of", classmethod(looked))
    program_of(graph, x)
    expected, real = np.array(found).T
    assert len(found) > 8
    assert real.max() > 100
    assert np.corrcoef(np.log1p(expected), np.log1p(real))[0, 1] > 0.95
    assert np.all(np.abs(expected - real) < 5 + 0.5 * real)
