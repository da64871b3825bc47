"""The committed N-MNIST model: what the example says of it."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from sfx.frontends.checkpoints.checkpoint import load_checkpoint  # noqa: E402
from sfx.frontends.checkpoints.spikeformer import load  # noqa: E402
from sfx.frontends.zoo.spikeformer import firing_rates  # noqa: E402

pytestmark = [pytest.mark.needs_torch]
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "nmnist"


def reader(folder: Path) -> Any:
    """The example's data.py."""
    spec = spec_from_file_location(f"{folder.name}_data", folder / "data.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_checkpoint_is_small_and_calibrates_itself() -> None:
    model = EXAMPLE / "model.pt"
    assert model.stat().st_size < 5_000_000
    calibration = load_checkpoint(model).calibration
    assert calibration is not None
    samples = torch.as_tensor(calibration)
    assert samples.dtype == torch.uint8
    assert samples.shape == (64, 4, 2, 32, 32)
    rates = firing_rates(load(model), [samples[:16].float().transpose(0, 1)])
    assert len(rates) == 3 + 7
    assert all(0.01 < rate < 0.5 for rate in rates.values()), rates


@pytest.mark.needs_data
def test_the_accuracy_is_the_logged_one(data_dir: Path) -> None:
    frames, labels = reader(EXAMPLE).load(data_dir / "nmnist_small.npz", "test")
    assert frames.shape == (100, 4, 2, 32, 32)
    x, y = torch.from_numpy(frames).float().transpose(0, 1), torch.from_numpy(labels)
    with torch.no_grad():
        right = int((load(EXAMPLE / "model.pt")(x).argmax(1) == y).sum())
    logged = re.search(r"test accuracy .*\((\d+) of 100\)", (EXAMPLE / "train.log").read_text())
    assert logged is not None
    assert abs(right - int(logged[1])) <= 1  # sums in another order can turn a spike
