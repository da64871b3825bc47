"""The committed MNIST model: what the example says of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from sfx.frontends.checkpoints.checkpoint import load_checkpoint  # noqa: E402
from sfx.frontends.checkpoints.spikeformer import load  # noqa: E402
from sfx.frontends.zoo.spikeformer import firing_rates  # noqa: E402
from tests.unit.examples.test_nmnist import reader  # noqa: E402

pytestmark = [pytest.mark.needs_torch]
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "mnist"


def logged() -> int:
    """Test images that the log has right, of 10,000."""
    found = re.search(
        r"test accuracy .*\((\d+) of 10000\)", (EXAMPLE / "train.log").read_text(encoding="utf-8")
    )
    assert found is not None
    return int(found[1])


def test_the_checkpoint_is_small_and_calibrates_itself() -> None:
    model = EXAMPLE / "model.pt"
    assert model.stat().st_size < 5_000_000
    assert logged() >= 9850
    calibration = load_checkpoint(model).calibration
    assert calibration is not None
    samples = torch.as_tensor(calibration)
    assert samples.dtype == torch.uint8
    assert samples.shape == (64, 4, 1, 24, 24)
    assert torch.equal(samples, samples[:, :1].expand_as(samples))  # an image at every step
    rates = firing_rates(load(model), [samples[:16].float().transpose(0, 1)])
    assert len(rates) == 3 + 7
    assert all(0.01 < rate < 0.5 for rate in rates.values()), rates


@pytest.mark.needs_data
def test_the_accuracy_is_the_logged_one(data_dir: Path) -> None:
    """On every 10th test image, within what a sample of 1,000 allows (3 standard deviations)."""
    frames, labels = reader(EXAMPLE).load(data_dir / "mnist.npz", "test")
    assert frames.shape == (10_000, 1, 1, 24, 24)
    x = torch.from_numpy(frames[::10]).float().transpose(0, 1).expand(4, -1, -1, -1, -1)
    with torch.no_grad():
        found = load(EXAMPLE / "model.pt")(x).argmax(1)
    right = int((found == torch.from_numpy(labels[::10])).sum())
    share = logged() / 10_000
    assert abs(right - 1000 * share) < 3 * (1000 * share * (1 - share)) ** 0.5
