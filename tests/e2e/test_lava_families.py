"""Every published family, random and live, layer by layer through Intel's processes: equal.

Attention included, at the smallest size that still has heads, several tokens and every kind of
layer. The Spikeformer runs in the paper's mode: divided attention over the whole sample.
"""

from __future__ import annotations

import importlib

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = [pytest.mark.needs_torch, pytest.mark.needs_lava, pytest.mark.slow]

import torch  # noqa: E402  (after importorskip)

from sfx.frontends import zoo  # noqa: E402
from sfx.frontends.tracing.export import export  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.compiler.compile import compile_graph  # noqa: E402
from sfx.toolchain.formats.nir.bridge import to_graph  # noqa: E402
from sfx.toolchain.ir import program as p  # noqa: E402
from sfx.toolchain.targets import load as load_target  # noqa: E402

TINY: dict[str, dict[str, object]] = {
    "spikformer": {"image_size": 8, "dim": 8},
    "spikingformer": {"image_size": 8, "dim": 8},
    "spike_driven": {"image_size": 8, "dim": 8},
    "spike_driven_v2": {"image_size": 16, "dims": [4, 4, 8, 8], "attention_scale": 1.0},
    "spike_driven_v3": {"image_size": 32, "dims": [4, 4, 8, 8]},
    "statten": {"image_size": 8, "dim": 8, "chunk": 2, "timesteps": 4},
    "qkformer": {"image_size": 8, "dim": 8, "attention_scale": 0.5},
    "max_former": {"image_size": 8, "dim": 8},
    "sglformer": {"image_size": 8, "dim": 8, "attention_scale": 1.0},
    "spikeformer": {
        "image_size": 8, "stem": [4], "dim": 4, "heads": 2, "depth": 1, "num_classes": 3,
        "attention": "divided", "causal": False, "neuron": "plif", "attention_scale": 0.5,
    },
}  # fmt: skip
STEPS, SAMPLES = 3, 2


def live(name: str, seed: int) -> tuple[torch.nn.Module, np.ndarray]:
    """An untrained model with random batch norms that have the statistics of its samples."""
    importlib.import_module(f"sfx.frontends.zoo.{name}")
    torch.manual_seed(seed)
    model = zoo.build(name, {"timesteps": STEPS, **TINY[name]})
    steps, _, *frame = model.input_shape
    x = (torch.rand(steps, SAMPLES, *frame) < 0.5).float()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 1.0, 3.0)
            torch.nn.init.uniform_(module.bias, 0.25, 1.5)
            module.momentum = None
            module.reset_running_stats()
    with torch.no_grad():
        model.train()(x)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                assert module.running_var is not None
                module.running_var.clamp_(min=0.1)  # a channel that never fired has none
    return model.eval(), x.transpose(0, 1).numpy().astype(np.int64)


SEEDS = {"spikformer": 0, "spikingformer": 0, "spike_driven": 0, "spike_driven_v2": 0,
         "spike_driven_v3": 0, "statten": 0, "qkformer": 2, "max_former": 0, "sglformer": 0,
         "spikeformer": 0}  # fmt: skip


def test_every_model_is_here() -> None:
    assert set(TINY) == set(zoo.NAMES) == set(SEEDS)


@pytest.mark.parametrize("name", TINY)
def test_lava_agrees_layer_by_layer(name: str) -> None:
    model, x = live(name, SEEDS[name])
    graph = to_graph(export(model, model.example_input()))
    program = compile_graph(graph, load_target("loihi"), x).placed.program
    attention = p.Product if name == "spike_driven_v3" else p.LIF
    assert any(isinstance(q.neuron, attention) and not q.stateful for q in program), "no attention"
    verdict = api.verify(program, x, mode="layerwise")
    assert verdict.equal, verdict.first_mismatch
    assert verdict.silent == (), "nothing was shown of a population that never fired"
    assert verdict.compared == verdict.steps * sum(q.size for q in program)
