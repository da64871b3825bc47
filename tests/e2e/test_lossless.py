"""A Spikeformer whose numbers are all representable compiles with no rounding: the Program's spikes
are the torch model's, at every neuron layer, step and sample."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from sfx.backends.base import align  # noqa: E402  (after importorskip)
from sfx.backends.fast.backend import FastBackend  # noqa: E402
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.neurons.ge_lif import ParametricLIF  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.frontends.zoo.spikeformer import Spikeformer, SpikeformerConfig  # noqa: E402
from sfx.toolchain.compiler.compile import compile_graph  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ir import graph as g  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402
from tests.e2e.representable import torch_spikes  # noqa: E402

SAMPLES, STEPS = 4, 5


def representable(config: SpikeformerConfig, seed: int) -> Spikeformer:
    """Weights in quarters, batch norm with unit variance and dyadic gain and shift."""
    model = Spikeformer(config).eval()
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            quarters = torch.randint(-4, 5, parameter.shape, generator=rng)
            parameter.copy_(quarters.float() / 4)
        for norm in model.modules():
            if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                norm.eps = 0.0
                norm.running_var.fill_(1.0)
                norm.running_mean.zero_()
                norm.weight.fill_(2.0)
                norm.bias.fill_(0.25)
    return model


def config(attention: str, *, causal: bool = True, **fields: object) -> SpikeformerConfig:
    small = {"image_size": 8, "stem": (4,), "dim": 8, "heads": 2, "num_classes": 4}
    fixed = {"attention_scale": 0.25, "timesteps": STEPS, "depth": 1}
    return SpikeformerConfig.from_mapping(
        {**small, **fixed, "attention": attention, "causal": causal, **fields}
    )


MODES = {
    # mode and causality: (seed at which every population fires, blocks)
    ("spatial", True): (4, 2),
    ("temporal", True): (4, 1),
    ("temporal", False): (2, 1),
    ("joint", True): (0, 2),
    ("joint", False): (0, 2),
    ("divided", True): (5, 1),
    ("divided", False): (5, 2),
}


@pytest.mark.parametrize(("attention", "causal"), MODES)
def test_program_spikes_are_torch_spikes(attention: str, causal: bool) -> None:
    seed, depth = MODES[attention, causal]
    model = representable(config(attention, causal=causal, depth=depth), seed)
    rng = np.random.default_rng(seed)
    x = (rng.random((SAMPLES, STEPS, 2, 8, 8)) < 0.4).astype(np.int64)
    truth = torch_spikes(model, x)
    logits = truth.pop("logits")
    silent = [name for name, spikes in truth.items() if not spikes.any()]
    assert not silent, f"vacuous on {silent}"

    graph = to_graph(export(model, model.example_input()))
    compiled = compile_graph(graph, load_target("loihi"), x)
    assert all(r.exact for r in compiled.records), [r for r in compiled.records if not r.exact]
    program = compiled.placed.program
    by_module = {p.module: p for p in program if p.module in truth}
    assert set(by_module) == set(truth), "every neuron layer of the model is a population"
    for garbage in (None, 1):  # what a population sends before its phase must not matter
        stream = ReferenceBackend().stream(program, x, garbage=garbage)
        compared = 0
        for module, spikes in truth.items():
            p = by_module[module]
            mine = align(stream.spikes[p.name], p.phase, SAMPLES, program.timesteps)
            assert mine.size == spikes.size, module
            assert np.array_equal(mine.reshape(spikes.shape), spikes), (module, garbage)
            compared += spikes.size
        assert compared > 5_000
    result = ReferenceBackend().run(program, x)
    assert np.allclose(result.sums / program.readout.scale, logits, atol=1e-6)
    quick = FastBackend().run(program, x)
    assert np.array_equal(quick.sums, result.sums)
    assert all(
        np.array_equal(events, result.counts.events[name])
        for name, events in quick.counts.events.items()
    )


def test_attention_over_the_whole_sample_waits_for_it() -> None:
    """T - 1 steps later than causal attention, per block, and equal to the layer-by-layer run."""
    depths = {}
    for causal in (True, False):
        model = representable(config("joint", causal=causal), 0)
        graph = to_graph(export(model, model.example_input()))
        program = compile_graph(graph, load_target("loihi")).placed.program
        depths[causal] = program.depth
    assert depths[False] == depths[True] + STEPS
    x = (np.random.default_rng(3).random((3, STEPS, 2, 8, 8)) < 0.4).astype(np.int64)
    stream, layers = (getattr(ReferenceBackend(), n)(program, x) for n in ("stream", "layers"))
    total = next(p for p in program if p.name.endswith("time_sum"))
    assert layers[total.name].any()
    assert (layers[total.name] == layers[total.name][:, :1]).all(), "the same at every step"
    for p in program:
        mine = align(stream.spikes[p.name], p.phase, len(x), program.timesteps)
        assert np.array_equal(mine, layers[p.name]), p.name


def test_a_learned_time_constant_is_exported_and_its_rounding_recorded() -> None:
    model = representable(config("joint", causal=False, neuron="plif"), 0)
    taus = {}
    with torch.no_grad():
        for name, cell in model.named_modules():
            if isinstance(cell, ParametricLIF):
                cell.w.fill_(len(taus) / 10 - 0.35)
                taus[name.removesuffix(".cell")] = 1 / cell.decay
    assert len(set(taus.values())) == len(taus) == 9
    x = (np.random.default_rng(0).random((2, STEPS, 2, 8, 8)) < 0.4).astype(np.int64)
    graph = to_graph(export(model, model.example_input()))
    compiled = compile_graph(graph, load_target("loihi"), x)
    modules = {p.name: p.module for p in compiled.placed.program}
    records = {modules[r.population]: r for r in compiled.records}
    for module, tau in taus.items():
        decay = next(n.op.decay for n in graph if n.module == module and isinstance(n.op, g.LIF))
        assert decay == pytest.approx(1 / tau, rel=1e-12)
        error = abs(round(4096 / tau) / 4096 - 1 / tau)
        assert records[module].decay_error == pytest.approx(error, abs=1e-12)
        assert 0 < records[module].decay_error <= 0.5 / 4096
        assert not records[module].exact
