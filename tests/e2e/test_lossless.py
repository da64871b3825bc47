"""A Spikeformer whose numbers are all representable compiles with no rounding: the Program's spikes
are the torch model's, at every neuron layer, step and sample."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from sfx.backends.base import align  # noqa: E402  (after importorskip)
from sfx.backends.reference.backend import ReferenceBackend  # noqa: E402
from sfx.frontends.torch_export import export  # noqa: E402
from sfx.frontends.zoo.spikeformer import Spikeformer, SpikeformerConfig  # noqa: E402
from sfx.toolchain.compiler import compile_graph  # noqa: E402
from sfx.toolchain.ir.nir_bridge import to_graph  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402
from tests.e2e.representable import torch_spikes  # noqa: E402

SAMPLES = 4


def representable(attention: str, seed: int) -> Spikeformer:
    """Weights in quarters, batch norm with unit variance and dyadic gain and shift."""
    config = SpikeformerConfig(
        image_size=8,
        stem=(4,),
        dim=8,
        depth=2,
        heads=2,
        timesteps=6,
        num_classes=4,
        attention=attention,
        attention_scale=0.25,
    )
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


@pytest.mark.parametrize(("attention", "seed"), [("joint", 0), ("spatial", 4)])
def test_program_spikes_are_torch_spikes(attention: str, seed: int) -> None:
    model = representable(attention, seed)
    rng = np.random.default_rng(seed)
    x = (rng.random((SAMPLES, *model.config.input_shape[:1], 2, 8, 8)) < 0.4).astype(np.int64)
    truth = torch_spikes(model, x)
    logits = truth.pop("logits")
    silent = [name for name, spikes in truth.items() if not spikes.any()]
    assert not silent, f"vacuous on {silent}"

    graph = to_graph(export(model, model.example_input()))
    compiled = compile_graph(graph, load_target("loihi"), x)
    assert all(r.exact for r in compiled.records), [r for r in compiled.records if not r.exact]
    program = compiled.placed.program
    stream = ReferenceBackend().stream(program, x)
    by_module = {p.module: p for p in program if p.module in truth}
    assert set(by_module) == set(truth), "every neuron layer of the model is a population"
    compared = 0
    for module, spikes in truth.items():
        population = by_module[module]
        mine = align(stream.spikes[population.name], population.phase, SAMPLES, program.timesteps)
        assert mine.size == spikes.size, module
        assert np.array_equal(mine.reshape(spikes.shape), spikes), module
        compared += spikes.size
    assert compared > 10_000
    sums = ReferenceBackend().run(program, x).sums
    assert np.allclose(sums / program.readout.scale, logits, atol=1e-6)
