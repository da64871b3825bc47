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

from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402  (after importorskip)
from sfx.frontends import zoo  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.compiler.compile import compile_graph  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402
from tests.e2e.representable import make_representable, torch_spikes  # noqa: E402

SEEDS = {
    # name: (seed, gain of the batch norms) at which every population fires
    "spikformer": (0, 4.0),
    "spikingformer": (0, 4.0),
    "spike_driven": (0, 4.0),
    "spike_driven_v2": (0, 4.0),
    "qkformer": (0, 2.0),
}


def test_every_published_model_is_here() -> None:
    assert set(SEEDS) == set(zoo.NAMES) - {"spikeformer"}


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
