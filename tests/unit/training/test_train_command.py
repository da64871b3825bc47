"""`sfx train`: a file in, a checkpoint out; killed and resumed it gives the same weights."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("norse")

import sfx  # noqa: E402
from sfx.toolchain.app import cli  # noqa: E402
from sfx.toolchain.app.api.training import interval  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from tests.unit.training.nets import CONFIG, patterns  # noqa: E402

pytestmark = pytest.mark.needs_torch

MODEL = "\n".join(
    f"{k} = {list(v) if isinstance(v, tuple) else json.dumps(v)}"
    for k, v in CONFIG.to_mapping().items()
)
TEXT = f"""
[model]
name = "spikeformer"
{MODEL}

[data]
train = "train.npz"
test = "test.npz"
validation = 0.2
calibration = 8

[train]
epochs = 8
batch = 16
rate = 1e-2
threads = 1

[augment]
shift = 1
mode = "whole"
drop = 0.2
"""
TUNED = """
[qat]
bits = 4

[qat.train]
epochs = 2
batch = 16
rate = 1e-3
distill = 1.0
partial = true
threads = 1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, count, seed in (("train", 200, 0), ("test", 40, 1)):
        made = patterns(count, seed)
        np.savez(tmp_path / f"{name}.npz", x=made.x, y=made.labels.numpy())
    (tmp_path / "c.toml").write_text(TEXT)
    return tmp_path


def call(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(cli.app, ["train", *map(str, words)])
    if isinstance(result.exception, InputError):
        return 2, str(result.exception)
    assert result.exception is None or result.exit_code == 2, result.output
    return result.exit_code, result.output


def state(path: Path) -> list[torch.Tensor]:
    return list(torch.load(path, weights_only=True)["state_dict"].values())


def test_a_network_is_trained_and_compiled(folder: Path) -> None:
    (folder / "c.toml").write_text(TEXT + TUNED)
    status, out = call(folder / "c.toml", "-o", folder / "out", "--json", folder / "r.json")
    assert status == 0, out
    names = {f.name for f in (folder / "out").iterdir()}
    assert names == {
        "model.pt", "state.pt", "log.csv", "log.svg", "integers.safetensors",
        "integers-state.pt", "integers-log.csv", "integers-log.svg",
    }  # fmt: skip
    found = json.loads((folder / "r.json").read_text())["stages"]
    assert [s["tested"] for s in found] == [40, 40]
    assert found[0]["right"] > 20  # of four classes
    assert found[0]["epochs"][0]["validation"] is not None
    assert "95 % confidence" in out
    assert (folder / "out/log.svg").read_text().count("<path") > 10
    x = np.load(folder / "test.npz")["x"]
    for name, stage in zip(("model.pt", "integers.safetensors"), found, strict=True):
        bundle = sfx.compile(folder / "out" / name)
        right = int((sfx.run(bundle, x).predictions == np.load(folder / "test.npz")["y"]).sum())
        assert abs(right - stage["right"]) <= 3 * (name == "model.pt")
    assert sfx.qat.verify(sfx.qat.load(folder / "out/integers.safetensors"), x[:4]).equal


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["state.pt", "integers-state.pt"])
def test_killed_and_resumed_it_gives_the_same_weights(folder: Path, stage: str) -> None:
    (folder / "c.toml").write_text(TEXT + TUNED)
    assert call(folder / "c.toml", "-o", folder / "whole")[0] == 0
    command = [sys.executable, "-m", "sfx.toolchain.app.cli", "train", str(folder / "c.toml")]
    command += ["-o", str(folder / "broken")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    until = time.monotonic() + 120
    while not (folder / "broken" / stage).exists() and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = (folder / "broken" / stage.replace("state.pt", "log.csv")).read_text().splitlines()
    assert process.returncode == -signal.SIGKILL, "it was ready too soon"
    assert len(kept) >= 2
    status, out = call(folder / "c.toml", "-o", folder / "broken", "--resume")
    assert status == 0, out
    pairs = [state(folder / name / "model.pt") for name in ("whole", "broken")]
    assert all(torch.equal(a, b) for a, b in zip(*pairs, strict=True))
    same = [(folder / n / "integers.safetensors").read_bytes() for n in ("whole", "broken")]
    assert same[0] == same[1]


def test_what_was_begun_is_not_lost(folder: Path) -> None:
    status, out = call(folder / "c.toml", "-o", folder / "out", "--resume")
    assert (status, "SFX-E389" in out) == (2, True)
    (folder / "c.toml").write_text(TEXT.replace("epochs = 8", "epochs = 1"))
    assert call(folder / "c.toml", "-o", folder / "out")[0] == 0
    before = (folder / "out/model.pt").read_bytes()
    status, out = call(folder / "c.toml", "-o", folder / "out")
    assert (status, "--resume" in out) == (2, True)
    assert call(folder / "c.toml", "-o", folder / "out", "--resume")[0] == 0
    assert (folder / "out/model.pt").read_bytes() == before
    (folder / "c.toml").write_text(TEXT.replace("epochs = 8", "epochs = 2"))
    status, out = call(folder / "c.toml", "-o", folder / "out", "--resume")
    assert (status, "SFX-E387" in out) == (2, True)


@pytest.mark.parametrize(
    ("old", "new", "code", "word"),
    [
        ("[train]", "[training]", "SFX-E380", "[training]"),
        ("epochs = 8\n", "", "SFX-E380", "epochs"),
        ("rate = 1e-2", "rate = 'fast'", "SFX-E380", "rate"),
        ("rate = 1e-2", "rate = nan", "SFX-E380", "rate"),
        ("batch = 16", "batch = 0", "SFX-E380", "batch"),
        ("threads = 1", "optimizer = 'lamb'", "SFX-E380", "adamw"),
        ("threads = 1", "momentum = 0.8", "SFX-E380", "momentum"),
        ("batch = 16", "batch = true", "SFX-E380", "batch"),
        ('name = "spikeformer"', 'name = "nobody"', "SFX-E120", "nobody"),
        ('name = "spikeformer"', "", "SFX-E380", "checkpoint"),
        ('train = "train.npz"', 'train = "no.npz"', "SFX-E610", "no.npz"),
        ('train = "train.npz"', 'set = "nmnist"', "SFX-E380", "path"),
        ("[augment]", "[events]\nflip = 0.5\n[augment]", "SFX-E380", "events"),
        ("num_classes = 4", "num_classes = 3", "SFX-E617", "label"),
        ("image_size = 8", "image_size = 16", "SFX-E122", "16"),
        ("validation = 0.2", "validation = 0.95", "SFX-E380", "0.9"),
        ("[model]", "[model", "SFX-E388", "c.toml"),
        ("[augment]", "[qat]\nbits = 4\n[augment]", "SFX-E380", "qat.train"),
    ],
)
def test_what_is_wrong_is_told_by_name(
    folder: Path, old: str, new: str, code: str, word: str
) -> None:
    assert old in TEXT
    (folder / "c.toml").write_text(TEXT.replace(old, new))
    status, out = call(folder / "c.toml", "-o", folder / "out")
    assert status == 2, out
    assert code in out
    assert word in out.replace("\n", " ")
    assert not (folder / "out/model.pt").exists()


def test_a_file_that_is_none(folder: Path) -> None:
    assert call(folder / "no.toml", "-o", folder / "out")[0] == 2
    (folder / "c.toml").write_bytes(b"\xff\xfe")
    assert "SFX-E388" in call(folder / "c.toml", "-o", folder / "out")[1]


def test_intervals_are_clopper_and_pearson_s() -> None:
    """95 of 100: 88.72 to 98.36 %, as tables have it; the ends are closed."""
    low, high = interval(95, 100)
    assert (round(100 * low, 2), round(100 * high, 2)) == (88.72, 98.36)
    assert interval(0, 10)[0] == 0.0
    assert interval(10, 10)[1] == 1.0
