"""The published families, small: torch spikes == Program spikes at every layer, step and sample.

From PyTorch through NIR, the passes, quantization and placement. Weights are representable, so
nothing may differ; every population fires, so nothing is vacuous.
"""

from __future__ import annotations

import importlib

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = [pytest.mark.needs_torch, pytest.mark.slow]

from sfx.backends.fast.backend import FastBackend  # noqa: E402  (after importorskip)
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends import zoo  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.compiler.compile import Compiled, compile_graph  # noqa: E402
from sfx.toolchain.compiler.quantize.options import Options  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ir import program as p  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402
from tests.e2e.representable import make_representable, torch_spikes  # noqa: E402

SEEDS = {
    # name: (seed, gain of the batch norms) at which every population fires
    "spikformer": (0, 4.0),
    "spikingformer": (0, 4.0),
    "spike_driven": (0, 4.0),
    "spike_driven_v2": (0, 4.0),
    "statten": (0, 4.0),
    "qkformer": (0, 2.0),
    "max_former": (0, 2.0),
    "sglformer": (0, 4.0),
}
INTEGER = {"spike_driven_v3": (0, 8.0)}
"""The same for networks of integer neurons, which compile to graded spikes or to slots."""


def test_every_published_model_is_here() -> None:
    assert {*SEEDS, *INTEGER} == set(zoo.NAMES) - {"spikeformer"}


@pytest.mark.parametrize("name", SEEDS)
def test_program_spikes_are_torch_spikes(name: str) -> None:
    seed, gain = SEEDS[name]
    importlib.import_module(f"sfx.frontends.zoo.{name}")
    model = make_representable(zoo.build(name, {}), seed, gain)
    steps, _, *frame = model.input_shape
    rng = np.random.default_rng(seed)
    x = (rng.random((2, steps, *frame)) < 0.4).astype(np.int64)
    truth = torch_spikes(model, x)
    logits = truth.pop("logits")
    assert all(spikes.any() for spikes in truth.values()), "a population is silent"

    graph = to_graph(export(model, model.example_input()))
    program = compile_graph(graph, load_target("hala-point"), x).placed.program
    mine = ReferenceBackend().layers(program, x)
    by_module = {p.module: p.name for p in program if p.module in truth}
    assert set(by_module) == set(truth), "every neuron layer of the model is a population"
    compared = 0
    for module, spikes in truth.items():
        assert np.array_equal(mine[by_module[module]].reshape(spikes.shape), spikes), module
        compared += spikes.size
    assert compared > 100_000
    sums = mine[program.readout.population].sum(1).reshape(logits.shape)
    values = (sums + np.array(program.readout.offset)) / program.readout.scale
    assert np.allclose(values, logits, rtol=0, atol=0.02 * np.abs(logits).max())


def small_v3(spikes: str) -> tuple[Compiled, dict[str, np.ndarray], np.ndarray]:
    """Spike-driven V3 as graded spikes or as slots, what torch sends, and samples [K, T, ...]."""
    seed, gain = INTEGER["spike_driven_v3"]
    config = {"image_size": 32, "dims": [4, 8, 16, 16], "heads": 4, "num_classes": 4}
    model = make_representable(zoo.build("spike_driven_v3", config), seed, gain)
    x = (np.random.default_rng(seed).random((2, 1, 3, 32, 32)) < 0.4).astype(np.int64)
    truth = torch_spikes(model, x)
    graph = to_graph(export(model, model.example_input()))
    options = Options(integer_spikes=spikes)
    return compile_graph(graph, load_target("hala-point"), x, options=options), truth, x


@pytest.mark.parametrize(("spikes", "populations"), [("graded", 1), ("slots", 4)])
def test_integer_neurons_send_what_torch_sends(spikes: str, populations: int) -> None:
    compiled, truth, x = small_v3(spikes)
    logits = truth.pop("logits")
    program = compiled.placed.program
    assert all(r.exact for r in compiled.records)
    assert compiled.silent == ()
    for backend in (ReferenceBackend(), FastBackend()):
        mine, compared, sent = backend.layers(program, x), 0, 0
        for module, counts in truth.items():
            parts = [
                mine[q.name].astype(np.int64)
                for q in program
                if q.module == module and not isinstance(q.neuron, p.Graded)  # the shared current
            ]
            assert len(parts) == populations
            assert np.array_equal(sum(parts).reshape(counts.shape), counts), module
            assert counts.max() > 1, f"{module} is binary"
            compared, sent = compared + counts.size, sent + int(counts.sum())
        assert compared == 27_808
        assert sent > compared
        sums = mine[program.readout.population].sum(1).reshape(logits.shape)
        values = (sums + np.array(program.readout.offset)) / program.readout.scale
        np.testing.assert_array_equal(values, logits)


@pytest.mark.needs_lava
def test_integer_neurons_in_lava_send_the_same() -> None:
    """Graded, every population by itself; slots are 236 of Intel's (benchmarks/equivalence.py)."""
    compiled, _, x = small_v3("graded")
    program = compiled.placed.program
    verdict = api.verify(program, x, mode="layerwise")
    assert verdict.equal, verdict.first_mismatch
    assert verdict.silent == ()
    assert len(verdict.populations) == len(program.populations) == 63
    assert verdict.compared == verdict.steps * sum(p.size for p in program)
