"""The kernels for Norse's neurons, beside Norse."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from sfx.frontends.training.losses import supervised  # noqa: E402
from sfx.frontends.training.quick import quick  # noqa: E402
from tests.unit.training.nets import network  # noqa: E402

pytestmark = pytest.mark.needs_torch


def test_the_quick_neurons_are_norse_s() -> None:
    """Every spike, the loss, and every gradient to float precision; with the still image too."""
    image = torch.randint(0, 256, (1, 5, 1, 8, 8)).float()
    x, y = image.expand(3, -1, -1, -1, -1), torch.randint(0, 4, (5,))
    plain, fast = network(3), network(3)
    spikes: list[list[Any]] = [[], []]
    losses = []
    with quick(fast, still=True):
        for model, kept in zip((plain, fast), spikes, strict=True):
            for stage in model.tokenizer:
                stage.register_forward_hook(lambda m, i, z, kept=kept: kept.append(z))
            losses.append(supervised(model(x), y))
            losses[-1].backward()
    assert losses[0].item() == losses[1].item()
    assert all(torch.equal(a, b) for a, b in zip(*spikes, strict=True))
    assert sum(float(z.detach().sum()) for z in spikes[0]) > 0
    compared = 0
    for (name, a), b in zip(plain.named_parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-3, msg=name)
        compared += int((a.grad != 0).sum())
    assert compared > 500


def test_afterwards_the_modules_are_as_before() -> None:
    model = network(3)
    own = [m.forward.__func__ for m in model.modules()]
    with quick(model, still=True):
        assert any("forward" in vars(m) for m in model.modules())
        with quick(model, still=True):
            pass
        assert any("forward" in vars(m) for m in model.modules()), "the outer one is still open"
    assert [m.forward.__func__ for m in model.modules()] == own


def test_neurons_that_the_kernels_do_not_know_stay() -> None:
    model = network(3, neuron="plif")
    with quick(model):
        assert not any("forward" in vars(m) for m in model.modules())
