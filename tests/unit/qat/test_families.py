"""The published families, small: fine-tuned a little, every value equals the Program's."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.needs_torch, pytest.mark.slow]

import sfx  # noqa: E402
from sfx.frontends import zoo  # noqa: E402
from tests.e2e.representable import make_representable  # noqa: E402
from tests.e2e.test_families import SEEDS  # noqa: E402
from tests.unit.qat.nets import train  # noqa: E402


@pytest.mark.parametrize("name", SEEDS)
def test_fine_tuned_spikes_are_program_spikes(name: str) -> None:
    seed, gain = SEEDS[name]
    importlib.import_module(f"sfx.frontends.zoo.{name}")
    net = make_representable(zoo.build(name, {}), seed, gain)
    steps, _, *frame = net.input_shape
    x = (np.random.default_rng(seed).random((2, steps, *frame)) < 0.4).astype(np.int64)
    model = sfx.qat.prepare(net, "hala-point", calibrate=x)
    train(model, x, torch.tensor([0, 1]), steps=1, rate=1e-4)
    nudge(model, seed)
    moved = [k for k in model.layers if (model.weight(k).detach().numpy() != k.start).any()]
    assert len(moved) > len(model.layers) // 2
    found = sfx.qat.verify(model, x)
    assert found.equal
    assert found.compared > 100_000
    assert len(found.silent) <= found.populations // 4, found.silent


def nudge(model: sfx.qat.QatModel, seed: int) -> None:
    """Move every 50th weight by one step of the grid: training in its smallest form."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for layer in model.layers:
            if layer.lead is not None:
                continue  # it follows another one
            weight = model.weights[layer.key]
            chosen = torch.rand(weight.shape, generator=generator) < 0.02
            weight.add_(chosen * layer.rows.grid.step / 256)
