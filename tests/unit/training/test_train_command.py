"""`sfx train`: a file in, a checkpoint out; killed and resumed it gives the same weights."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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
trained = ["weights", "biases", "thresholds", "leaks", "scales"]

[qat.train]
epochs = 2
batch = 16
rate = 1e-3
distill = 1.0
activity = 0.1
blocks = [0.5, 1.0]
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
    assert found[0]["epochs"][0]["activity"] is None
    assert 0.3 < found[1]["epochs"][-1]["activity"] < 1.5
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
        ("image_size = 8", "image_size = 16", "SFX-E612", "16"),
        ("validation = 0.2", "validation = 0.95", "SFX-E380", "0.9"),
        ("[model]", "[model", "SFX-E388", "c.toml"),
        ("rate = 1e-2", f"rate = 1{'0' * 5000}", "SFX-E388", "c.toml"),
        ("rate = 1e-2", f"rate = 0x{'F' * 400}", "SFX-E388", "bits"),
        ("calibration = 8", "steps = 3", "SFX-E380", "steps"),
        ("calibration = 8", "crop = [8]", "SFX-E380", "a list of 2"),
        ("[augment]", "[qat]\ntrain = 3\n[augment]", "SFX-E380", "qat.train"),
        (
            "[augment]",
            f"{TUNED}[augment]".replace("[0.5, 1.0]", "[1, 1, 1]"),
            "SFX-E383",
            "[qat.train] blocks",
        ),
        (
            "[augment]",
            f"{TUNED}[augment]".replace('"leaks"', '"resets"'),
            "SFX-E380",
            "[qat] trained",
        ),
        ("batch = 16", "batch = 16\nblocks = [1]", "SFX-E383", "[train] blocks"),
        ("[augment]", f"{TUNED}precision = 'bfloat16'\n[augment]", "SFX-E380", "[qat.train]"),
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


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        (lambda x, y: (x.repeat(2, 1), y), "SFX-E612", "(6, 1, 8, 8)"),
        (lambda x, y: (x.astype(np.int16) - 1, y), "SFX-E616", "-1"),
        (lambda x, y: (x.astype(np.int32) * 200, y), "SFX-E612", "600"),
        (lambda x, y: (x * 0, y), "SFX-E618", "no event"),
        (lambda x, y: (x / 4, y), "SFX-E611", "fractions"),
        (lambda x, y: (x, y - 1), "SFX-E617", "-1"),
    ],
)
@pytest.mark.parametrize("part", ["train", "test"])
def test_samples_that_the_network_does_not_take(
    folder: Path, part: str, change: Any, code: str, word: str
) -> None:
    if (part, code) == ("test", "SFX-E618"):
        return  # nothing is calibrated on test samples
    data = np.load(folder / f"{part}.npz")
    x, y = change(data["x"], data["y"])
    np.savez(folder / f"{part}.npz", x=x, y=y)
    status, out = call(folder / "c.toml", "-o", folder / "out")
    assert (status, code in out, word in out) == (2, True, True), out
    assert not (folder / "out").exists()


def test_images_without_steps_are_shown_at_every_step(folder: Path) -> None:
    (folder / "c.toml").write_text(TEXT.replace("epochs = 8", "epochs = 1"))
    for part in ("train", "test"):
        data = np.load(folder / f"{part}.npz")
        np.savez(folder / f"{part}.npz", x=data["x"][:, 0], y=data["y"])
    status, out = call(folder / "c.toml", "-o", folder / "out")
    assert status == 0, out
    samples = torch.load(folder / "out/model.pt", weights_only=True)["calibration"]
    assert samples.shape[1:] == (3, 1, 8, 8)
    assert torch.equal(samples[:, 0], samples[:, 2])


def test_a_device_that_is_not_there(folder: Path) -> None:
    for device in ("cuda:99", "meta", "nothing"):
        status, out = call(folder / "c.toml", "-o", folder / "out", "--device", device)
        assert (status, "SFX-E386" in out) == (2, True), out
    assert not (folder / "out").exists()


def test_files_that_are_there_are_not_replaced(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out/model.pt").write_bytes(b"dear")
    status, out = call(folder / "c.toml", "-o", folder / "out")
    assert (status, "SFX-E389" in out) == (2, True)
    assert (folder / "out/model.pt").read_bytes() == b"dear"


def test_weights_that_are_lost_end_it(folder: Path) -> None:
    wild = TEXT.replace("rate = 1e-2", "rate = 1e3\noptimizer = 'sgd'\ndecay = 10")
    (folder / "c.toml").write_text(wild)
    status, out = call(folder / "c.toml", "-o", folder / "out")
    assert (status, "SFX-E379" in out) == (2, True), out
    assert not (folder / "out/model.pt").exists()


def recordings(root: Path, count: int = 8) -> None:
    """`count` N-MNIST recordings (5 bytes an event) of each of two classes, without a split."""
    rng = np.random.default_rng(0)
    for label in (0, 1):
        (root / str(label)).mkdir(parents=True)
        for i in range(count):
            t = np.sort(rng.integers(0, 300_000, 200))
            x, y = rng.integers(0, 34, 200), rng.integers(17 * label, 17 * label + 17, 200)
            words = np.stack([x, y, t >> 16, t >> 8 & 255, t & 255], 1).astype(np.uint8)
            (root / str(label) / f"{i}.bin").write_bytes(words.tobytes())


def test_what_a_set_without_a_split_is_tested_on_is_not_learned(folder: Path) -> None:
    recordings(folder / "set")
    (folder / "c.toml").write_text(
        TEXT.replace('train = "train.npz"\ntest = "test.npz"', 'set = "nmnist"\npath = "set"')
        .replace("calibration = 8", "test_every = 4\nsteps = 3\ncrop = [34, 34]\nsize = [8, 8]")
        .replace("in_channels = 1", "in_channels = 2")
        .replace("[augment]", "[events]\nshift = 2\n[augment]")
    )
    from sfx.frontends.training.config import read_config
    from sfx.toolchain.app.api.training import _new, _samples

    config = read_config(folder / "c.toml")
    learned, held, test = _samples(config, _new(config))
    assert held is not None
    assert test is not None
    parts = [learned, held, test]
    assert [len(p.labels) for p in parts] == [10, 2, 4]
    frames = [p.batch(torch.arange(len(p.labels)), None) for p in parts]
    seen = {x.numpy().tobytes() for part in frames for x in part}
    assert len(seen) == 16, "no recording is in two parts"
    assert all(int(x.sum()) > 0 for x in frames)


def test_events_of_a_set_that_has_images(folder: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    for label in ("a", "b"):
        (folder / "set" / label).mkdir(parents=True)
        for i in range(4):
            pillow.new("RGB", (9, 9), (i, 9, 9)).save(folder / "set" / label / f"{i}.png")
    (folder / "c.toml").write_text(
        TEXT.replace('train = "train.npz"\ntest = "test.npz"', 'set = "images"\npath = "set"')
        .replace("calibration = 8", "size = [8, 8]\ntest_every = 2\nsteps = 3")
        .replace("in_channels = 1", "in_channels = 3")
        .replace("[augment]", "[events]\nflip = 0.5\n[augment]")
    )
    status, out = call(folder / "c.toml", "-o", folder / "out")
    assert (status, "SFX-E380" in out, "images" in out) == (2, True, True), out


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
