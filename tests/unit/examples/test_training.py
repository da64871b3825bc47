"""What the MNIST and N-MNIST examples train with, against the plain form of the same."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from sfx.frontends.zoo.spikeformer import Spikeformer, SpikeformerConfig, deep_supervision_loss  # noqa: E402

pytestmark = pytest.mark.needs_torch

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
CONFIG = SpikeformerConfig(in_channels=1, image_size=8, stem=(4,), dim=8, heads=2, timesteps=3)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The modules `quick` and `training` of the examples."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield import_module("quick"), import_module("training")
    for name in ("quick", "training"):
        sys.modules.pop(name, None)


def test_the_quick_neurons_are_norse_s(shared: Any) -> None:
    """Every spike, the loss, and every gradient to float precision; with the still image too."""
    quick, _ = shared
    torch.manual_seed(3)
    plain, fast = Spikeformer(CONFIG), Spikeformer(CONFIG)
    fast.load_state_dict(plain.state_dict())
    quick.quicken(fast)
    quick.see_once(fast)
    image = torch.randint(0, 256, (1, 5, 1, 8, 8)).float()
    x, y = image.expand(3, -1, -1, -1, -1), torch.randint(0, 10, (5,))

    spikes: list[list[Any]] = [[], []]
    losses = []
    for model, kept in zip((plain, fast), spikes, strict=True):
        for stage in model.tokenizer:
            stage.register_forward_hook(lambda m, i, z, kept=kept: kept.append(z))
        losses.append(deep_supervision_loss(model(x), y))
        losses[-1].backward()
    assert losses[0].item() == losses[1].item()
    assert all(torch.equal(a, b) for a, b in zip(*spikes, strict=True))
    assert sum(float(z.detach().sum()) for z in spikes[0]) > 0
    compared = 0
    for (name, a), b in zip(plain.named_parameters(), fast.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-3, msg=name)
        compared += int((a.grad != 0).sum())
    assert compared > 500


def test_moved_samples_keep_whole_numbers_and_the_seed(shared: Any) -> None:
    _, training = shared
    x = torch.randint(0, 256, (4, 2, 1, 8, 8)).float()
    for mode in ("nearest", "bilinear"):
        recipe = training.Recipe(1, 1, 1.0, mode=mode)
        once, again = (
            training.moved(x, recipe, torch.Generator().manual_seed(5)) for _ in range(2)
        )
        assert torch.equal(once, again)
        assert torch.equal(once, once.round())
        assert float(once.min()) >= 0
        assert float(once.max()) <= 255
    still = training.Recipe(1, 1, 1.0, shift=0.0, turn=0.0, stretch=0.0)
    assert torch.equal(training.moved(x, still, torch.Generator()), x)


def test_intervals_are_clopper_and_pearson_s(shared: Any) -> None:
    """95 of 100: 88.72 to 98.36 %, as tables have it; the ends are closed."""
    _, training = shared
    low, high = training.interval(95, 100)
    assert (round(100 * low, 2), round(100 * high, 2)) == (88.72, 98.36)
    assert training.interval(0, 10)[0] == 0.0
    assert training.interval(10, 10)[1] == 1.0


def test_a_tiny_net_learns(shared: Any) -> None:
    """Four patterns, a few epochs: the loss falls and `settle` leaves it in `eval()`."""
    _, training = shared
    torch.manual_seed(1)
    patterns = torch.randint(0, 256, (4, 1, 1, 8, 8), dtype=torch.uint8)
    y = torch.arange(64) % 4
    samples = training.Samples(patterns[y], y)
    recipe = training.Recipe(6, 16, 1e-2, shift=0.0, turn=0.0, stretch=0.0)
    model = Spikeformer(CONFIG)
    losses = [loss for loss, _ in training.train(model, samples, recipe)]
    assert losses[-1] < losses[0]
    training.settle(model, samples, recipe)
    assert not model.training
    assert training.correct(model, samples) > 32
