"""Spikformer and QKFormer of SpikingJelly 2's own model zoo, from training to a verdict.

Trained as its documentation does it, saved as its scripts do, and given to the commands. The
library is the witness of the graph, ONNX Runtime of the integers. Each takes half a minute and is
not marked slow: the core environment alone has the library, and it runs no slow tests.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
pytest.importorskip("sklearn", reason="scikit-learn is not installed")
pytest.importorskip(
    "spikingjelly.activation_based.model.qkformer", reason="SpikingJelly 2 is not installed"
)

from sklearn.datasets import load_digits  # noqa: E402
from spikingjelly.activation_based import functional  # noqa: E402
from spikingjelly.activation_based.model.qkformer import QKFormer  # noqa: E402
from spikingjelly.activation_based.model.spikformer import Spikformer  # noqa: E402
from torch import nn  # noqa: E402

import sfx  # noqa: E402
from sfx.toolchain.app.cli import app  # noqa: E402

pytestmark = [
    pytest.mark.needs_torch,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(900),
]

T, CLASSES, SAMPLES = 3, 10, 2
LIVELY = {"v_threshold": 0.25}
"""After ten steps of training a threshold of 1 leaves most neurons silent."""


def spikformer() -> nn.Module:
    """Two tokens by two, two heads, one block."""
    return Spikformer(
        T=T, in_channels=1, img_size_h=8, img_size_w=8, patch_size=4, num_classes=CLASSES,
        embed_dims=16, num_heads=2, depths=1, **LIVELY,
    )  # fmt: skip


def qkformer() -> nn.Module:
    """Three stages of 4, 8 and 16 channels: token attention twice, then self-attention."""
    return QKFormer(
        T=T, in_channels=1, num_classes=CLASSES, embed_dims=16, num_heads=(1, 2, 2),
        depths=(1, 1, 1), mlp_ratio=2.0, **LIVELY,
    )  # fmt: skip


def digits(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Events [K, T, 1, size, size] drawn of images of digits, and which digits they are."""
    data = load_digits()
    images = (data.images[:count] / 16).repeat(size // 8, 1).repeat(size // 8, 2)
    drawn = np.random.default_rng(0).random((count, T, 1, size, size))
    return (drawn < images[:, None, None]).astype(np.uint8), data.target[:count]


def trained(net: nn.Module, x: np.ndarray, y: np.ndarray) -> nn.Module:
    """The loop of the library's tutorials; then what many more steps do to the batch norms."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3)
    for norm in net.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm):
            norm.momentum = 0.5
    net.train()
    for i in range(0, len(x), 8):
        frames = torch.from_numpy(x[i : i + 8]).float().transpose(0, 1)
        out = net(frames)
        out = out.mean(0) if out.dim() == 3 else out
        loss = nn.functional.cross_entropy(out, torch.from_numpy(y[i : i + 8]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        functional.reset_net(net)
    return net.eval()


def command(*words: object) -> Result:
    done = CliRunner().invoke(app, [str(w) for w in words])
    assert done.exit_code == 0, (done.output, done.exception)
    return done


@pytest.mark.parametrize(("make", "size"), [(spikformer, 8), (qkformer, 16)])
def test_from_training_to_a_verdict(
    make: Callable[[], nn.Module], size: int, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    x, y = digits(48, size)
    net = trained(make(), x, y)
    checkpoint, data = tmp_path / "checkpoint_max.pth.tar", tmp_path / "digits.npz"
    saved = {"model": net.state_dict(), "epoch": 9, "args": argparse.Namespace(T=T)}
    torch.save(saved, checkpoint)
    np.savez(data, x=x[:SAMPLES], y=y[:SAMPLES])
    own = ("--model", f"{__name__}:{make.__name__}", "--calibrate", data)

    said = command("check", checkpoint, *own, "--json", tmp_path / "check.json")
    assert "weights from 'model'" in said.output
    assert json.loads((tmp_path / "check.json").read_text())["fits"]

    bundle = tmp_path / "net.sfx"
    command("compile", checkpoint, *own, "-o", bundle, "--effort", 0, "--check-samples", 2)
    found = sfx.load(bundle).manifest["witness"]
    assert found["checked"]
    assert found["compared"] > 5_000
    assert found["spikes"] > 500
    assert (found["differ"], found["ties"], found["end_to_end"]) == (0, 0, 0)
    assert found["unmatched"] == []
    assert len(found["silent"]) <= 2, found["silent"]

    command("run", bundle, "--input", data, "--json", tmp_path / "run.json")
    ran = json.loads((tmp_path / "run.json").read_text())
    assert len(ran["predictions"]) == SAMPLES
    assert ran["spikes"] > 0

    words = ("verify", bundle, "--input", data, "--against", "onnx", "--limit", 1)
    command(*words, "--json", tmp_path / "verify.json")
    verdict = json.loads((tmp_path / "verify.json").read_text())
    assert verdict["equal"]
    assert verdict["mismatches"] == 0
    assert verdict["compared"] > 50_000
