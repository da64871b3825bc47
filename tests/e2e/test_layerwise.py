"""Layer by layer on Intel's processes: attention, real residuals, pooled currents, larger nets."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sfx.toolchain.app import api
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.formats.nir.bridge import to_graph
from sfx.toolchain.ground.arith import IntArray
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.graph import Graph
from sfx.toolchain.targets import load as load_target
from sfx.toolchain.verify import pieces
from sfx.toolchain.verify.compare import Verdict
from tests import graphs

pytestmark = pytest.mark.needs_lava

SAMPLES = 3


def compiled(graph: Graph, x: IntArray, target: str = "loihi") -> p.Program:
    return compile_graph(graph, load_target(target), x).placed.program


def attention() -> tuple[p.Program, IntArray]:
    graph, x = graphs.live_case(True, True, 1)
    return compiled(graph, x), x[:SAMPLES]


def membrane_residual() -> tuple[p.Program, IntArray]:
    graph = graphs.membrane_residual()
    x = graphs.events(graph, SAMPLES, rate=0.4)
    return compiled(graphs.live(graph, x), x), x


def pooled_currents() -> tuple[p.Program, IntArray]:
    graph = graphs.pooled_currents()
    x = graphs.events(graph, SAMPLES, rate=0.4)
    return compiled(graphs.live(graph, x), x), x


def complete(program: p.Program, verdict: Verdict) -> bool:
    """Every neuron at every step, u and v of LIFs."""
    per_step = sum(q.size * (3 if isinstance(q.neuron, p.LIF) else 1) for q in program)
    return (
        verdict.compared == verdict.steps * per_step
        and verdict.steps == verdict.samples * program.timesteps + program.last_phase
    )


@pytest.mark.parametrize("make", [attention, membrane_residual, pooled_currents])
def test_layer_by_layer_equals(make: Callable[[], tuple[p.Program, IntArray]]) -> None:
    program, x = make()
    verdict = api.verify(program, x, mode="layerwise", states=True)
    assert verdict.equal, verdict.first_mismatch
    assert complete(program, verdict)
    assert verdict.silent == ()
    if make is not attention:
        wide = [q for q in program if q.low < 0]
        assert wide, "records with negative payloads are played too"


def test_parts_and_several_runs_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_SYNAPSES", 100)
    monkeypatch.setattr(pieces, "RUN_PROCESSES", 120)
    program, x = attention()
    planned = pieces.plan(program)
    assert sum(piece.neurons is not None for piece in planned) > 10
    assert len(list(pieces.runs(planned))) > 1
    verdict = api.verify(program, x, mode="layerwise", states=True)
    assert verdict.equal, verdict.first_mismatch
    assert complete(program, verdict)


def test_one_changed_threshold_shows_in_lava_and_only_there() -> None:
    """The same change in the whole net spreads to what follows; here it stays where it is."""
    program, x = attention()
    changed = next(
        q for q in program if isinstance(q.neuron, p.LIF) and q.stateful and "fc1" in q.name
    )
    assert isinstance(changed.neuron, p.LIF)
    neuron = replace(changed.neuron, vth=changed.neuron.vth // 2)
    other = replace(
        program,
        populations=tuple(replace(q, neuron=neuron) if q is changed else q for q in program),
    )
    verdict = api.verify(program, x, mode="layerwise", states=True, witness=other)
    assert not verdict.equal
    assert [q.population for q in verdict.populations if q.mismatches] == [changed.name]
    assert verdict.first_mismatch is not None
    assert verdict.first_mismatch.population == changed.name


@pytest.mark.slow
@pytest.mark.needs_torch
def test_spikformer_with_its_attention_in_lava() -> None:
    """341,034 neurons, 262,144 of them coincidences: more than Lava holds at once."""
    importlib.import_module("sfx.frontends.zoo.spikformer")
    from sfx.frontends import zoo
    from sfx.frontends.tracing.export import export
    from tests.e2e.representable import make_representable

    model = make_representable(zoo.build("spikformer", {}), 0, 4.0)
    steps, _, *frame = model.input_shape
    x = (np.random.default_rng(0).random((2, steps, *frame)) < 0.4).astype(np.int64)
    graph = to_graph(export(model, model.example_input()))
    program = compiled(graph, x, "hala-point")
    verdict = api.verify(program, x, mode="layerwise", states=True)
    assert verdict.equal, verdict.first_mismatch
    assert complete(program, verdict)
    assert verdict.silent == ()
    assert verdict.compared > 10_000_000
