"""What the pipeline does before model step 0, in every mode of attention: equal counts."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("norse")

import torch

from sfx.backends.base import Result
from sfx.backends.fast.backend import FastBackend
from sfx.backends.fast.plan import lead_in
from sfx.backends.fast.plan.prepared import Prepared
from sfx.backends.fast.plan.spans import Span
from sfx.backends.fast.run import lead_in as run_lead_in
from sfx.backends.fast.run.arena import Arena
from sfx.backends.fast.run.execute import execute
from sfx.backends.fast.run.sent import Sent
from sfx.backends.fast.run.state import InitialConditions, State
from sfx.frontends import zoo
from sfx.frontends.tracing.export import export
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.formats.nir.bridge import to_graph
from sfx.toolchain.ir import program as p
from sfx.toolchain.targets import load as load_target
from tests.unit.fast.test_equal import REFERENCE, differences

pytestmark = pytest.mark.needs_torch

T, SAMPLES = 3, 2
MODES = [("temporal", False), ("joint", True), ("joint", False), ("divided", False)]


@functools.cache
def compiled(attention: str, causal: bool) -> tuple[p.Program, np.ndarray]:
    """Two blocks whose batch norms drive neurons where no sample arrives, too."""
    torch.manual_seed(3)
    fields = {
        "image_size": 4, "stem": [], "dim": 4, "heads": 2, "depth": 2, "num_classes": 3,
        "timesteps": T, "attention": attention, "causal": causal, "neuron": "plif",
        "attention_scale": 1.0,
    }  # fmt: skip
    model = zoo.build("spikeformer", fields)
    x = (torch.rand(T, SAMPLES, *model.input_shape[2:]) < 0.5).float()
    for norm in model.modules():
        if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(norm.weight, 1.0, 3.0)
            torch.nn.init.uniform_(norm.bias, 0.25, 3.0)
            norm.reset_running_stats()
            norm.momentum = None
    with torch.no_grad():
        model.train()(x)
    graph = to_graph(export(model.eval(), model.example_input()))
    events = x.transpose(0, 1).numpy().astype(np.int64)
    made = compile_graph(graph, load_target("hala-point"), events, options=Options(effort=0))
    return made.placed.program, events


@pytest.mark.parametrize(("attention", "causal"), MODES)
def test_every_mode_of_attention(attention: str, causal: bool) -> None:
    program, x = compiled(attention, causal)
    fast = FastBackend()
    got, want = fast.run(program, x), REFERENCE.run(program, x)
    assert differences(want, got) == []
    assert all(e.any() for e in want.counts.events.values()), "a population is silent"
    assert fast._ready is not None
    ready, initial = fast._ready.plan, fast._ready.initial
    assert ready.contracted
    assert ready.accumulators
    assert initial.sent or attention == "temporal", "nothing was there before the first step"
    _assert_totals(got)
    assert differences(want, FastBackend(device="torch-cpu").run(program, x)) == []


def _assert_totals(got: Result) -> None:
    for name, counts in got.counts.events.items():
        assert got.counts.events.total(name) == counts.sum(), name  # type: ignore[attr-defined]  # CountsOnDemand


def test_an_accumulator_that_no_clock_has_cleared_yet() -> None:
    """Before step 0 it holds more than a sample can bring, and nothing is simulated wide."""
    program, _ = compiled("joint", True)
    ready = Prepared(program)
    last = lead_in.steps_needed(program, ready, lead_in.lags_that_matter(program, ready))
    assert max(last.values()) > T, "no population runs for longer than a sample"
    longer = lead_in.with_longer_loops(program, ready)
    wider = [a.name for a, b in zip(program, longer, strict=True) if a.high < b.high]
    assert any(name.endswith("cumsum") for name in wider)
    assert all(program[n].graded for n in wider)
    assert set(Prepared(longer).contracted) == set(ready.contracted)


def test_only_what_matters_is_run() -> None:
    """Without attention over time a reset forgets the sample before the last one."""
    program, _ = compiled("spatial", True)
    ready = Prepared(program)
    last = lead_in.steps_needed(program, ready, lead_in.lags_that_matter(program, ready))
    assert program.last_phase > 2 * T
    assert 0 < max(last.values()) <= T


@pytest.mark.parametrize(("attention", "causal"), MODES)
def test_nothing_is_sent_before_a_population_can_be_active(attention: str, causal: bool) -> None:
    """Every population, simulated from its first hardware step on, as wide as need be."""
    program, _ = compiled(attention, causal)
    most = lead_in.steps_active(program, Prepared(program))
    early, sent = 0, 0

    def keep(q: p.Population, s: Sent, state: State | None) -> None:
        nonlocal early, sent
        silent = q.phase - most[q.name]
        early += silent > 0
        sent += int(np.count_nonzero(s.flat))
        assert not s.flat[0, :silent].any(), q.name

    whole = Span(last={q.name: q.phase for q in program})
    execute(
        Prepared(program, wide=True),
        run_lead_in._SILENCE,
        whole,
        InitialConditions(),
        keep,
        None,
        Arena(),
    )
    assert sent, "nothing is driven before the first step"
    assert early, "no population becomes active later than it computes"


def test_a_shorter_window_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    program, x = compiled("joint", True)
    want = REFERENCE.run(program, x)
    true = lead_in.steps_needed

    def short(*arguments: object) -> dict[str, int]:
        return {n: min(k, 1) for n, k in true(*arguments).items()}  # type: ignore[arg-type]  # as it is called

    monkeypatch.setattr(run_lead_in, "steps_needed", short)
    assert differences(want, FastBackend().run(program, x)) != []


def test_neurons_that_keep_more_than_a_step_run_from_the_start() -> None:
    program, x = compiled("spatial", True)
    slow = tuple(
        replace(q, neuron=replace(q.neuron, reset=False)) if q.name.endswith("fc1.lif") else q
        for q in program
    )
    kept = replace(program, populations=slow)
    want = REFERENCE.run(kept, x)
    assert differences(want, FastBackend().run(kept, x)) == []
    assert differences(want, REFERENCE.run(program, x)) != [], "the reset made no difference"
