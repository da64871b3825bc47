"""Maps of the steps: what they compute, and lags that are legal because a clock silences."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sfx.backends.base import align
from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import compile_graph, lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.formats.nir.bridge import from_graph, to_graph
from sfx.toolchain.formats.onnx.write import to_onnx
from sfx.toolchain.ground.errors import SfxError
from sfx.toolchain.ir import evaluate
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check import check_graph
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.silent_steps import silent_steps
from sfx.toolchain.targets import load as load_target
from tests.graphs import Builder

T, INPUTS, N = 4, 6, 5


def graph_of(weight: np.ndarray, bias: np.ndarray, steps: int = T) -> g.Graph:
    """Events -> weights in quarters -> a map of the steps -> another one -> the read-out."""
    rng = np.random.default_rng(2)
    b = Builder()
    b.add("input", g.Input(), shape=(INPUTS,))
    quarters = [rng.integers(-4, 5, shape) / 4 for shape in ((N, INPUTS), (N,), (N, N), (N,))]
    b.add("fc", g.Linear(quarters[0], quarters[1]), "input", shape=(N,))
    b.add("first", g.TimeMap(weight, bias), "fc", shape=(N,))
    b.add("fc2", g.Linear(quarters[2], quarters[3]), "first", shape=(N,))
    b.add("second", g.TimeMap(weight[::-1].copy(), bias), "fc2", shape=(N,))
    b.add("head", g.Linear(np.ones((2, N)), np.zeros(2)), "second", shape=(2,))
    b.add("output", g.Output("mean"), "head", shape=(2,))
    return g.Graph(g.topological(tuple(b.nodes.values())), steps)


def dyadic(steps: int = T) -> g.Graph:
    rng = np.random.default_rng(3)
    return graph_of(rng.integers(-8, 9, (steps, steps)) / 8, rng.integers(-4, 2, steps) / 4, steps)


def events(steps: int = T, samples: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (samples, steps, INPUTS))


def quantized(steps: int = T) -> p.Program:
    return quantize(lower(dyadic(steps)), events(steps)).program


def test_the_float_graph_is_the_equation() -> None:
    graph, x = dyadic(), events()
    values = evaluate.run(graph, x)
    for name, before in (("first", "fc"), ("second", "fc2")):
        op = graph[name].op
        assert isinstance(op, g.TimeMap)
        for t in range(T):
            h = sum(op.weight[t, s] * values[before][:, s] for s in range(T)) + op.bias[t]
            assert np.array_equal(values[name][:, t], h >= 0)
        assert 0.1 < values[name].mean() < 0.9


@pytest.mark.parametrize("max_delay", [62, 2, 1])
@pytest.mark.parametrize("steps", [1, 2, 4, 7])
def test_every_spike_is_that_of_the_float_graph(steps: int, max_delay: int) -> None:
    """Nothing is rounded here; samples follow each other, and relays may carry the lags."""
    program = BalanceDelays(max_delay).run(quantized(steps))
    check_program(program, balanced=True)
    x = events(steps)
    want, layers = evaluate.run(dyadic(steps), x), ReferenceBackend().layers(program, x)
    for name in ("first", "second"):
        assert 0.02 < want[name].mean() < 0.98
        assert np.array_equal(layers[name], want[name]), name
    stream = ReferenceBackend().stream(program, x, garbage=5)
    for q in program:
        mine = align(stream.spikes[q.name], q.phase, len(x), steps)
        assert np.array_equal(mine, layers[q.name]), q.name
    for fast in (FastBackend(), FastBackend(device="torch-cpu")):
        quick = fast.layers(program, x)
        assert all(np.array_equal(quick[name], layers[name]) for name in layers)


def test_a_product_is_silent_where_no_tick_brings_a_weight() -> None:
    program = quantized()
    found = silent_steps(program)
    gated = (j for j in program.incoming["first"] if j.pre in found and j.pre != "clock")
    lags = {j.pre: j.lag for j in gated}
    assert {-2, -1, 1, 2} <= set(lags.values())
    layers = ReferenceBackend().layers(program, events())
    for name, lag in lags.items():
        outside = {s for s in range(T) if not 0 <= s + lag < T}
        assert outside <= found[name]
        assert not layers[name][:, sorted(found[name])].any()
        assert layers[name].any(), name


def changed(program: p.Program, name: str, **other: int | str) -> p.Program:
    made = tuple(
        replace(j, **other) if j.name == name else j  # type: ignore[arg-type]  # its fields
        for j in program.projections
    )
    assert made != program.projections
    return replace(program, projections=made)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("first.lag1->first", {"lag": 2}),
        ("first.lag-1->first", {"lag": -2}),
        ("first.lag-1->first", {"lag": -T}),
        ("first.lag1->first", {"pre": "first.current"}),
        ("first.lag-1->first", {"pre": "first.current"}),
        ("clock->first.lag1@0", {"lag": 0}),  # a weight at the last step: carried on
        ("clock->first.lag1@0", {"lag": -T}),
        ("clock->first.lag-1@1", {"lag": 1 - T}),  # one at the first: read too early
    ],
)
def test_a_lag_that_reads_another_sample_is_refused(name: str, other: dict[str, int]) -> None:
    program = quantized()
    check_program(program, balanced=False)
    with pytest.raises(SfxError) as raised:
        check_program(changed(program, name, **other), balanced=False)
    assert "SFX-E349" in {problem.code for problem in raised.value.problems}


def test_rounding_shows_in_the_record_and_hardly_in_the_spikes() -> None:
    rng = np.random.default_rng(5)
    graph, x = graph_of(rng.normal(size=(T, T)), rng.normal(size=T) - 0.5), events(samples=200)
    made = compile_graph(graph, load_target("loihi2"), x)
    records = {r.population: r for r in made.records}
    for name in ("first", "second"):
        found = records[name]
        assert not found.exact
        assert (found.spikes or 0) > 500
        assert found.wrong is not None
        assert found.wrong < 0.02
        assert 0 < found.weight_error < 1e-3
    layers = FastBackend().layers(made.placed.program, x)
    want = evaluate.run(graph, x)
    first, second = ((layers[n] == want[n]).mean() for n in ("first", "second"))
    assert min(first, second) > 0.98


@pytest.mark.parametrize("bits", [8, 4])
def test_the_record_says_the_bits_that_a_map_takes(bits: int) -> None:
    """Fewer are asked of the layers, which a map is none of."""
    rng = np.random.default_rng(5)
    graph, x = graph_of(rng.normal(size=(T, T)), rng.normal(size=T) - 0.5), events()
    made = quantize(lower(graph), x, options=Options(bits=bits))
    said = {r.population: r.weight_bits for r in made.records}
    clock = [j for j in made.program.incoming["first.lag0"] if j.pre == "clock"]
    weight = sum(abs(j.connection.weights.item()) << j.weight_exp for j in clock if j.lag == 0)
    assert weight > 1 << 8, "more than one mantissa holds"
    assert said["first.current"] == bits
    assert 8 < said["first"] <= 16


def test_a_nir_file_keeps_it(tmp_path: Path) -> None:
    nir = pytest.importorskip("nir")
    graph, x = dyadic(), events()
    nir.write(tmp_path / "map.nir", from_graph(graph))
    again = to_graph(nir.read(tmp_path / "map.nir"))
    want, got = evaluate.run(graph, x), evaluate.run(again, x)
    assert want["second"].any()
    assert np.array_equal(got["first"], want["first"])
    assert np.array_equal(got["second"], want["second"])


def test_another_number_of_steps_is_refused() -> None:
    with pytest.raises(SfxError, match="but T is 5") as raised:
        check_graph(replace(dyadic(), timesteps=5))
    assert raised.value.code == "SFX-E231"


def test_onnx_has_no_operator_for_it() -> None:
    pytest.importorskip("onnx")
    with pytest.raises(SfxError, match="map of the steps") as raised:
        to_onnx(dyadic())
    assert raised.value.code == "SFX-E224"


def test_a_bias_beyond_all_that_arrives_decides_alone() -> None:
    bias = np.array([1e30, -1e30, 0.25, 1e9])
    graph, x = graph_of(np.eye(T), bias), events()
    program = quantize(lower(graph), x).program
    check_program(program, balanced=False)
    want, got = evaluate.run(graph, x), FastBackend().layers(program, x)
    assert want["first"][:, [0, 3]].all()
    assert not want["first"][:, 1].any()
    assert all(np.array_equal(got[n], want[n]) for n in ("first", "second"))


def test_a_large_bias_of_each_step_takes_few_synapses() -> None:
    """A clock's tick brings 15 bits, h has 23: a relay brings the rest."""
    rng = np.random.default_rng(5)
    graph, x = graph_of(rng.normal(size=(T, T)), rng.normal(size=T) - 0.5), events(samples=50)
    program = quantize(lower(graph), x).program
    check_program(program, balanced=False)
    brought = [j for j in program.projections if "first" in j.post and j.pre == "clock"]
    biases = [j for j in brought if not j.post.startswith("first.lag")]
    assert {j.post for j in biases} == {"first", "first.bias"}
    assert len(biases) <= 4 * T
    mine = ReferenceBackend().layers(program, x)
    want, quick = evaluate.run(graph, x), FastBackend().layers(program, x)
    assert (mine["first"] == want["first"]).mean() > 0.98
    assert all(np.array_equal(quick[name], mine[name]) for name in mine)


def test_targets_with_binary_spikes_refuse_it_by_name() -> None:
    with pytest.raises(SfxError) as raised:
        compile_graph(dyadic(), load_target("loihi1"), events())
    said = {problem.where.split()[0] for problem in raised.value.problems}
    assert {problem.code for problem in raised.value.problems} == {"SFX-E420"}
    assert {"first", "first.current", "first.lag0"} <= said


@pytest.mark.parametrize("through", [(), ("lif",)])
def test_a_loop_is_refused_by_name(through: tuple[str, ...]) -> None:
    """No step of it is known before all steps of its input are."""
    nir = pytest.importorskip("nir")
    from sfx.toolchain.formats.nir import ext

    one = np.ones(N)
    nodes = {
        "input": nir.Input({"input": np.array([N])}),
        "psn": ext.TimeMap((N,), np.eye(T), -np.ones(T)),
        "back": nir.Linear(np.eye(N)),
        "lif": nir.LIF(2e-3 * one, one, 0 * one, one, 0 * one),
        "output": nir.Output({"output": np.array([N])}),
    }
    path = ("psn", "back", *through, "psn")
    edges = [("input", "psn"), ("psn", "output"), *pairwise(path)]
    kept = {n: v for n, v in nodes.items() if n != "lif" or through}
    with pytest.raises(SfxError, match=f"the loop {', '.join(sorted(path[:-1]))}") as raised:
        to_graph(nir.NIRGraph(kept, edges), timesteps=T)
    assert {problem.code for problem in raised.value.problems} == {"SFX-E207"}
