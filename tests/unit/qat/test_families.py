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
    before = {layer.key: model.weight(layer).detach() for layer in model.layers}
    train(model, x, torch.tensor([0, 1]), steps=2, rate=5e-4)
    moved = [
        k for k, w in before.items() if not torch.equal(w, model.weight(model_layer(model, k)))
    ]
    assert len(moved) > len(before) // 2
    found = sfx.qat.verify(model, x)
    assert found.equal
    assert found.compared > 100_000
    assert set(found.silent) <= {"output"}


def model_layer(model: sfx.qat.QatModel, key: str) -> object:
    """The layer of that key."""
    return next(layer for layer in model.layers if layer.key == key)
