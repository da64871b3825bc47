"""What a user can get wrong: each gives an `SFX-E...` error and its exit status, never a traceback,
and leaves nothing behind."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from sfx.frontends.checkpoints.save import save  # noqa: E402
from sfx.frontends.zoo.spikeformer import Spikeformer, SpikeformerConfig  # noqa: E402

CONFIG = SpikeformerConfig(image_size=8, stem=(4,), dim=8, depth=1, heads=2, timesteps=4)


def sfx(*arguments: object, **environment: str) -> tuple[int, str]:
    """Run the real command; returns its status and what it printed on stderr."""
    command = [sys.executable, "-m", "sfx.toolchain.app.cli", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **environment}, timeout=240
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small, valid checkpoint."""
    torch.manual_seed(0)
    path = tmp_path / "model.pt"
    save(Spikeformer(CONFIG), path)
    return path


def rewrite(path: Path, change: Callable[[dict[str, object]], None]) -> None:
    content = torch.load(path, weights_only=False)
    change(content)
    torch.save(content, path)


def refused(model: Path, code: str, status: int = 2, *options: object) -> str:
    """`sfx compile` ends with `status`, names `code` and leaves no new file."""
    before = sorted(p.name for p in model.parent.iterdir())
    got, message = sfx("compile", model, "-o", model.parent / "out.sfx", *options)
    assert got == status, message
    assert code in message, message
    assert sorted(p.name for p in model.parent.iterdir()) == before
    return message


def test_absent_file(tmp_path: Path) -> None:
    refused(tmp_path / "absent.pt", "SFX-E")


def test_unknown_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"x")
    assert ".nir" in refused(tmp_path / "model.bin", "SFX-E620")


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_truncated_checkpoint(model: Path, keep: float) -> None:
    data = model.read_bytes()
    model.write_bytes(data[: int(len(data) * keep)])
    refused(model, "SFX-E1")


def test_malicious_checkpoint_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {canary}",)

    buffer = io.BytesIO()
    pickle.dump({"sfx": 1, "model": Evil()}, buffer, protocol=2)
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("archive/data.pkl", buffer.getvalue())
        z.writestr("archive/version", "3\n")
    message = refused(path, "SFX-E1")
    assert "system" in message, "the refused global is named"
    assert not canary.exists()


def test_nan_weights_are_named(model: Path) -> None:
    def poison(content: dict[str, object]) -> None:
        state = content["state_dict"]
        assert isinstance(state, dict)
        state["blocks.0.attn.q.linear.weight"][0, 0] = float("nan")

    rewrite(model, poison)
    assert "blocks.0.attn.q.linear.weight" in refused(model, "SFX-E1")


def test_wrong_shapes(model: Path) -> None:
    rewrite(model, lambda c: c["config"].update(dim=16))  # type: ignore[attr-defined]
    refused(model, "SFX-E152")


def test_unknown_architecture(model: Path) -> None:
    rewrite(model, lambda c: c.update(model="resnet50"))
    assert "spikeformer" in refused(model, "SFX-E1"), "the known ones are listed"


def test_bad_configuration(model: Path) -> None:
    rewrite(model, lambda c: c["config"].update(heads=3))  # type: ignore[attr-defined]
    refused(model, "SFX-E1")


FACTORY = """
import torch
from torch import nn
from sfx.frontends.neurons.multistep import lif

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.spikes = lif()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        y = torch.softmax(self.norm(self.fc(x)), -1)
        return self.head(self.spikes(y)).mean(0)

def net():
    torch.manual_seed(0)
    return Net()
"""


def test_unknown_layers_are_all_listed(tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text(FACTORY)
    sys.path.insert(0, str(tmp_path))
    try:
        from mynet import net

        torch.save(net().state_dict(), tmp_path / "model.pt")
    finally:
        sys.path.remove(str(tmp_path))
    np.savez(tmp_path / "data.npz", x=np.ones((2, 5, 4), np.uint8))
    status, message = sfx(
        "compile",
        tmp_path / "model.pt",
        "--model",
        "mynet:net",
        "--calibrate",
        tmp_path / "data.npz",
        "-o",
        tmp_path / "out.sfx",
        PYTHONPATH=str(tmp_path),
    )
    assert status == 2
    assert "softmax" in message
    assert "layer_norm" in message
    assert not (tmp_path / "out.sfx").exists()


def test_model_that_exceeds_the_target(model: Path, tmp_path: Path) -> None:
    from sfx.toolchain.targets import load

    source = Path(load.__code__.co_filename).parent / "loihi2.toml"
    text = source.read_text().replace('name = "loihi2"', 'name = "small"')
    for limit, value, small in (
        ("cores_per_chip", 120, 4),
        ("neurons_per_core", 4095, 200),
    ):
        assert f"{limit} = {{ value = {value}" in text
        text = text.replace(f"{limit} = {{ value = {value}", f"{limit} = {{ value = {small}")
    folder = tmp_path / "targets"
    folder.mkdir()
    (folder / "small.toml").write_text(text)
    message = refused(model, "SFX-E4", 1, "--target", folder / "small.toml")
    assert "core" in message


def test_unknown_target_lists_the_known(model: Path) -> None:
    assert "loihi2" in refused(model, "SFX-E4", 2, "--target", "loihi9")


def test_output_folder_that_does_not_exist(model: Path) -> None:
    status, message = sfx("compile", model, "-o", model.parent / "no" / "out.sfx")
    assert status == 2
    assert "SFX-E603" in message


@pytest.fixture
def bundle(model: Path) -> Path:
    path = model.parent / "model.sfx"
    status, message = sfx("compile", model, "-o", path)
    assert status == 0, message
    return path


def test_data_that_does_not_fit_the_model(bundle: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.ones((2, 4, 2, 9, 9), np.uint8))
    status, message = sfx("run", bundle, "--input", tmp_path / "data.npz")
    assert status == 2
    assert "SFX-E612" in message
    assert "(4, 2, 8, 8)" in message, "the expected shape is shown"


@pytest.mark.parametrize("where", [0.1, 0.5, 0.99])
def test_damaged_bundle(bundle: Path, tmp_path: Path, where: float) -> None:
    data = bytearray(bundle.read_bytes())
    np.savez(tmp_path / "data.npz", x=np.zeros((1, 4, 2, 8, 8), np.uint8))
    flipped = bytearray(data)
    flipped[int(len(data) * where)] ^= 0x10
    for content in (flipped, data[: int(len(data) * where)]):
        bundle.write_bytes(content)
        status, message = sfx("run", bundle, "--input", tmp_path / "data.npz")
        assert status == 2, "a damaged bundle must not run"
        assert "SFX-E60" in message


NO_LAVA = """
from importlib import metadata
real = metadata.version
def version(name):
    if name == "lava-nc":
        raise metadata.PackageNotFoundError(name)
    return real(name)
metadata.version = version
"""


def test_missing_lava(bundle: Path, tmp_path: Path) -> None:
    """Where lava-nc is not installed, verify says so and ends with status 3."""
    np.savez(tmp_path / "data.npz", x=np.zeros((1, 4, 2, 8, 8), np.uint8))
    shadow = tmp_path / "shadow"
    shadow.mkdir()
    (shadow / "sitecustomize.py").write_text(NO_LAVA)
    status, message = sfx(
        "verify", bundle, "--input", tmp_path / "data.npz", PYTHONPATH=str(shadow)
    )
    assert status == 3
    assert "SFX-E501" in message
