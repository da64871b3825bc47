"""Measured ranges: where they come from, what they cost, and what --proved makes of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.compiler.quantize.quantize import Quantized, quantize
from sfx.toolchain.ground.errors import InputError, SfxError, UnsupportedError
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.evaluate import run
from tests.graphs import with_op
from tests.neurons import net

SOFT = g.LIF(0.1, 1.0, gain=10.0, subtract=True)


def deep(factor: float = 60.0) -> g.Graph:
    """Weights of which the worst case is thousands of thresholds, and few inputs at a time."""
    graph = net(SOFT, timesteps=25, size=12, inputs=200, dyadic=False, seed=2, bias=0.05)
    heavy = replace(graph["fc"].op, weight=factor * graph["fc"].op.weight)  # type: ignore[attr-defined]
    return graph.with_nodes(replace(n, op=heavy) if n.name == "fc" else n for n in graph)


def sparse(graph: g.Graph, samples: int, rate: float = 0.01, seed: int = 0) -> np.ndarray:
    shape = (samples, graph.timesteps, *graph["input"].shape)
    return (np.random.default_rng(seed).random(shape) < rate).astype(np.int64)


def balanced(quantized: Quantized) -> p.Program:
    program = BalanceDelays(62).run(quantized.program)
    check_program(program, balanced=True)
    return program


def measured(program: p.Program) -> dict[str, p.Population]:
    return {q.name: q for q in program if q.measured is not None}


def test_the_range_comes_from_the_data_where_no_register_holds_the_worst_case() -> None:
    graph = deep()
    x = sparse(graph, 6)
    made = quantize(lower(graph), x)
    found = measured(balanced(made))
    assert "cell.membrane" in found
    for q in found.values():
        m = q.measured
        assert m is not None
        assert m.margin == 100
        assert m.proven_low <= q.low <= m.seen_low < m.seen_high <= q.high <= m.proven_high
        assert m.proven_high - m.proven_low > q.high - q.low
    (record,) = (r for r in made.records if r.population == "cell")
    assert record.spikes
    assert record.wrong_alone is not None
    assert record.wrong_alone < 0.02
    assert not measured(balanced(quantize(lower(graph), x, options=Options(proved=True))))


def test_what_only_data_can_bound_is_refused_without_them_and_with_proved() -> None:
    graph = with_op(deep(550.0), "cell", decay=0.01, gain=100.0)
    graph = replace(graph, timesteps=60)
    x = sparse(graph, 6, 0.003)
    assert measured(balanced(quantize(lower(graph), x)))
    with pytest.raises(UnsupportedError, match="SFX-E310"):
        quantize(lower(graph), x, options=Options(proved=True))
    with pytest.raises(UnsupportedError, match="SFX-E310"):
        quantize(lower(graph))


def test_what_was_seen_is_what_the_reference_sends() -> None:
    graph = deep()
    x = sparse(graph, 6)
    program = balanced(quantize(lower(graph), x))
    sent = ReferenceBackend().layers(program, x)
    for name, q in measured(program).items():
        assert q.measured is not None
        assert (q.measured.seen_low, q.measured.seen_high) == (sent[name].min(), sent[name].max())
    layers = FastBackend().layers(program, x)
    assert all(np.array_equal(layers[n], s) for n, s in sent.items())


def test_the_spikes_are_those_of_the_float_model_to_a_few() -> None:
    graph = deep()
    x = sparse(graph, 6)
    program = balanced(quantize(lower(graph), x))
    other = sparse(graph, 8, seed=5)
    got = ReferenceBackend().layers(program, other)["cell"]
    expected = run(graph, other)["cell"]
    assert expected.sum() > 200
    assert np.count_nonzero(got != expected) < 0.02 * expected.sum()
    result = FastBackend().run(program, other)
    assert result.left == dict.fromkeys(measured(program), 0)


def test_the_margin_widens_the_range() -> None:
    graph = deep()
    x = sparse(graph, 6)
    width = {}
    for margin in (0, 300):
        made = quantize(lower(graph), x, options=Options(range_margin=margin))
        q = measured(made.program)["cell.membrane"]
        assert q.measured is not None
        assert q.measured.margin == margin
        seen = q.measured.seen_high - q.measured.seen_low
        width[margin] = (q.high - q.low) / seen
    assert 1 <= width[0] < 1.5 < 2 < width[300]
    with pytest.raises(InputError, match="SFX-E313"):
        Options(range_margin=-1)


def test_fan_in_of_2304_over_300_steps_by_proof_and_by_measurement() -> None:
    rng = np.random.default_rng(1)
    shape = (8,)
    weight = rng.normal(0.004, 0.05, (8, 2304))
    nodes = (
        g.Node("input", g.Input(), (), (2304,)),
        g.Node("fc", g.Linear(weight, np.zeros(8)), (("input",),), shape),
        g.Node("cell", g.IF(1.0, subtract=True), (("fc",),), shape, "cell"),
        g.Node("output", g.Output("sum"), (("cell",),), shape),
    )
    graph = g.Graph(g.topological(nodes), 300)
    x = sparse(graph, 2, 0.02)
    for options in (Options(proved=True), Options()):
        made = quantize(lower(graph), x, options=options)
        program = balanced(made)
        assert bool(measured(program)) == (not options.proved)
        got = ReferenceBackend().layers(program, x)["cell"]
        expected = run(graph, x)["cell"]
        assert expected.sum() > 500
        wrong = np.count_nonzero(got != expected) / expected.sum()
        assert wrong < (0.3 if options.proved else 0.02)
        assert abs(int(got.sum()) - int(expected.sum())) < 0.02 * expected.sum()


def test_a_net_that_fits_by_proof_has_no_measured_range() -> None:
    graph = net(g.LIF(0.5, 1.0, subtract=True), seed=3)
    x = sparse(graph, 6, 0.5)
    assert not measured(quantize(lower(graph), x).program)


def test_a_measured_range_is_legal_on_graded_values_along_axes_only() -> None:
    graph = deep()
    program = balanced(quantize(lower(graph), sparse(graph, 6)))
    m = program["cell.membrane"].measured
    for name in ("cell", "input"):
        told = tuple(replace(q, measured=m) if q.name == name else q for q in program)
        with pytest.raises(SfxError, match="SFX-E352"):
            check_program(replace(program, populations=told), balanced=True)
