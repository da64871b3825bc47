"""Images without an axis of time are shown at every step: compiled, run and verified so."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

from norse.torch import LIFBoxCell, LIFBoxParameters  # noqa: E402

from sfx.frontends.neurons.multistep import MultiStep  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.data import Data  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402

pytestmark = pytest.mark.needs_torch

STEPS, IMAGES = 5, (7, 1, 4, 4)


class Shown(torch.nn.Module):
    """Shows one image [B, 1, 4, 4] at each of its five steps."""

    def __init__(self) -> None:
        super().__init__()
        p = LIFBoxParameters(tau_mem_inv=torch.tensor(250.0), v_th=torch.tensor(0.5))
        self.conv, self.lif = torch.nn.Conv2d(1, 3, 3, padding=1), MultiStep(LIFBoxCell(p))
        self.head = torch.nn.Linear(48, 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        current = self.conv(image).expand(STEPS, *(-1,) * 4)
        logits: torch.Tensor = self.head(self.lif(current).flatten(2)).mean(0)
        return logits


def test_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = ModuleType("a_users_nets")
    module.shown = Shown  # type: ignore[attr-defined]  # a user's module, as --model names it
    monkeypatch.setitem(sys.modules, "a_users_nets", module)
    path = tmp_path / "shown.pt"
    torch.save(Shown().state_dict(), path)
    images = np.random.default_rng(0).integers(0, 4, IMAGES)
    repeated = np.repeat(images[:, None], STEPS, axis=1)
    bundle = api.compile(
        path, calibrate=Data(images, None), model="a_users_nets:shown", input_layout="B"
    )
    assert bundle.program.timesteps == STEPS
    got, want = (api.run(bundle, Data(x, None), backend_name="fast") for x in (images, repeated))
    assert np.array_equal(got.sums, want.sums)
    assert all(e.any() for e in got.counts.events.values())
    assert api.verify(bundle, images[:2], against="onnx").equal
    with pytest.raises(InputError, match="SFX-E612"):
        api.run(bundle, Data(images[:, 0], None))
