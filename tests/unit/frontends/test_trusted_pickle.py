"""`--trust-pickle`: the only way to run what a file holds, never implied, and on record."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sfx.frontends.neurons.multistep import lif  # noqa: E402  (after importorskip)
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.data import Data  # noqa: E402
from sfx.toolchain.ground.errors import InputError, SfxError  # noqa: E402

pytestmark = pytest.mark.needs_torch
X = (np.random.default_rng(0).random((2, 4, 6)) < 0.5).astype(np.uint8)


class Touch:
    """Creates a file when Python's unpickler meets it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


class Net(torch.nn.Module):
    """[T, B, 6] -> [T, B, 3]."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(6, 3)
        torch.nn.init.uniform_(self.fc.weight, 0.0, 1.0)
        self.lif = lif()

    def forward(self, x: Any) -> Any:
        return self.lif(self.fc(x))


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A whole network, as `torch.save(model, path)` writes it. Norse's cannot be pickled."""
    neuron = pytest.importorskip("spikingjelly.activation_based.neuron")
    net = Net()
    net.lif = neuron.LIFNode(tau=2.0, step_mode="m")
    path = tmp_path / "whole.pt"
    torch.save(net, path)
    return path


def test_a_whole_network_compiles_only_if_trusted(whole: Path, tmp_path: Path) -> None:
    data = Data(X, None)
    with pytest.raises(InputError, match="SFX-E111") as refused:
        api.compile(whole, calibrate=data)
    assert "--trust-pickle" in str(refused.value)
    bundle = api.compile(whole, calibrate=data, trust_pickle=True)
    api.save(bundle, tmp_path / "m.sfx")
    assert api.load(tmp_path / "m.sfx").manifest["trusted_pickle"] is True
    assert bundle.program.input.size == 6
    with pytest.raises(InputError, match="SFX-E150"):
        api.compile(whole, trust_pickle=True)


def test_the_code_runs_exactly_if_trusted(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path = tmp_path / "evil.pt"
    state = {"fc.weight": torch.ones(3, 6), "fc.bias": torch.zeros(3)}
    torch.save({"state_dict": state, "x": Touch(canary)}, path)
    factory = f"{__name__}:Net"
    for trust in (False, True):
        call: dict[str, Any] = {"model": factory, "example_shape": (4, 6), "trust_pickle": trust}
        if trust:
            assert api.load_model(path, **call).trusted
        else:
            with pytest.raises(InputError, match="SFX-E111"):
                api.load_model(path, **call)
        assert canary.exists() == trust


def test_a_sound_file_is_not_trusted_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "plain.pt"
    torch.save(Net().state_dict(), path)
    source = api.load_model(path, model=f"{__name__}:Net", example_shape=(4, 6))
    assert not source.trusted
    assert api.compile(source).manifest["trusted_pickle"] is False


def test_nothing_to_trust(tmp_path: Path) -> None:
    for suffix in (".nir", ".net", ".onnx", ".safetensors"):
        path = tmp_path / f"m{suffix}"
        path.write_bytes(b"")
        with pytest.raises(SfxError, match="SFX-E154"):
            api.compile(path, trust_pickle=True)
    path = tmp_path / "m.pt"
    path.write_bytes(b"nothing")
    with pytest.raises(InputError, match="SFX-E155"):
        api.compile(path, trust_pickle=True)
