"""The committed model: what the example promises of it, measured."""

from __future__ import annotations

import re

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")
pytest.importorskip("sklearn")

from sfx.frontends.checkpoints.checkpoint import load_checkpoint  # noqa: E402
from sfx.frontends.checkpoints.spikeformer import load  # noqa: E402
from sfx.frontends.zoo.spikeformer import Spikeformer, firing_rates  # noqa: E402
from tests.unit.examples.test_spikeformer_data import EXAMPLE, example  # noqa: E402

pytestmark = pytest.mark.needs_torch

MODEL = EXAMPLE / "model.pt"


@pytest.fixture(scope="module")
def model() -> Spikeformer:
    return load(MODEL)


@pytest.fixture(scope="module")
def test_set() -> tuple[torch.Tensor, torch.Tensor]:
    """x [T, 360, C, H, W] float, y [360]."""
    recording = example("data").load("test")
    x = torch.from_numpy(recording.x).float().transpose(0, 1)
    return x, torch.from_numpy(recording.y)


def test_the_architecture_is_the_promised_one(model: Spikeformer) -> None:
    config = model.config
    assert (config.attention, config.heads, config.tau) == ("joint", 4, 2.0)
    assert config.depth >= 2
    assert config.timesteps >= 8
    assert MODEL.stat().st_size < 2_000_000


def test_every_population_fires_on_16_test_samples(
    model: Spikeformer, test_set: tuple[torch.Tensor, torch.Tensor]
) -> None:
    rates = firing_rates(model, [test_set[0][:, :16]])
    assert len(rates) == 2 + 7 * model.config.depth
    assert all(0.01 < rate < 0.5 for rate in rates.values()), rates


def test_the_accuracy_is_the_logged_one(
    model: Spikeformer, test_set: tuple[torch.Tensor, torch.Tensor]
) -> None:
    x, y = test_set
    with torch.no_grad():
        logits = torch.cat([model(part) for part in x.split(60, dim=1)])
    accuracy = float((logits.argmax(1) == y).float().mean())
    assert accuracy >= 0.97
    log = (EXAMPLE / "train.log").read_text(encoding="utf-8")
    logged = re.search(r"test accuracy ([\d.]+) % of 360 samples", log)
    assert logged is not None
    # A sum in another order on another machine can turn a spike, and with it a sample or two.
    assert 100 * accuracy == pytest.approx(float(logged[1]), abs=0.6)


def test_calibration_samples_are_64_training_samples() -> None:
    calibration = load_checkpoint(MODEL).calibration
    assert calibration is not None
    samples = torch.as_tensor(calibration)
    assert samples.dtype == torch.uint8
    assert samples.shape == (64, 8, 2, 16, 16)
    data = example("data")
    train = {x.tobytes() for x in data.load("train").x}
    assert all(x.numpy().tobytes() in train for x in samples)
