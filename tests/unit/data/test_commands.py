"""`sfx data convert` and `sfx data show`, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sfx.toolchain.app.cli import app
from sfx.toolchain.ground.errors import InputError
from tests.unit.datasets.sets import SETS


def sfx(*words: object) -> str:
    result = CliRunner().invoke(app, [str(w) for w in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize(
    ("name", "options", "shape"),
    [
        ("nmnist", ["--split", "test", "--crop", "32x32"], [10, 8, 2, 32, 32]),
        ("ncaltech101", ["--size", "45x60", "--bin", "count"], [9, 8, 2, 45, 60]),
        ("cifar10-dvs", ["--split", "train", "--every", "4"], [6, 8, 2, 128, 128]),
        ("dvs-gesture", ["--split", "test", "--size", "32x32"], [2, 8, 2, 32, 32]),
        ("images", ["--split", "test", "--size", "32x48"], [3, 8, 3, 32, 48]),
        ("mnist", ["--split", "test", "--steps", "4"], [4, 4, 1, 28, 28]),
        ("asl-dvs", ["--split", "test", "--every", "3"], [3, 8, 2, 180, 240]),
        ("shd", ["--split", "test", "--duration", "1400000"], [4, 8, 700]),
        ("ssc", ["--split", "valid", "--steps", "3"], [4, 3, 700]),
        ("spikingjelly", ["--split", "test"], [13, 3, 2, 6, 7]),
        (
            "recordings",
            ["--split", "test", "--sensor", "20x30", "--bin", "spikingjelly-number"],
            [4, 8, 2, 20, 30],
        ),
    ],
)
def test_convert_and_show(tmp_path: Path, name: str, options: list[str], shape: list[int]) -> None:
    SETS[name](tmp_path / "set")
    data, record = tmp_path / "data.npz", tmp_path / "data.json"
    said = sfx("data", "convert", "--from", name, tmp_path / "set", "-o", data, *options)
    assert f"x uint8 {shape}" in said
    with np.load(data) as file:
        assert list(file["x"].shape) == shape
        assert len(file["y"]) == shape[0]
        assert file["x"].reshape(shape[0], -1).any(axis=1).all()
    picture = tmp_path / "sample.png"
    said = sfx("data", "show", data, "-o", picture, "--sample", 1, "--json", record)
    assert f"samples   {shape[0]}" in said
    assert picture.read_bytes()[:4] == b"\x89PNG"
    values = json.loads(record.read_text())
    assert values["shape"] == shape[1:]
    assert sum(values["labels"].values()) == shape[0]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--size", "32"], "SFX-E138"),
        (["--crop", "axb"], "SFX-E138"),
        (["--steps", "0"], "SFX-E138"),
        (["--split", "dev"], "SFX-E138"),
    ],
)
def test_wrong_options(tmp_path: Path, words: list[str], code: str) -> None:
    SETS["nmnist"](tmp_path / "set")
    out = tmp_path / "o.npz"
    with pytest.raises(InputError) as raised:
        sfx("data", "convert", "--from", "nmnist", tmp_path / "set", "-o", out, *words)
    assert raised.value.code == code
    assert not out.exists()


def test_a_truncated_recording_leaves_no_file(tmp_path: Path) -> None:
    SETS["nmnist"](tmp_path / "set")
    bad = tmp_path / "set" / "Test" / "9" / "00000.bin"
    bad.write_bytes(bad.read_bytes()[:-2])
    out = tmp_path / "o.npz"
    with pytest.raises(InputError) as raised:
        sfx("data", "convert", "--from", "nmnist", tmp_path / "set", "-o", out, "--split", "test")
    assert raised.value.problems[0].where == str(bad)
    assert [f.name for f in tmp_path.iterdir()] == ["set"]


def test_show_refuses_what_it_cannot_draw(tmp_path: Path) -> None:
    data = tmp_path / "flat.npz"
    np.savez(data, x=np.ones((2, 3, 7, 2), np.uint8))
    for words, what in (
        (["-o", tmp_path / "a.png"], "a sample has shape [3, 7, 2]"),
        (["-o", tmp_path / "a.png", "--sample", 2], "--sample is 2, but DATA has samples 0..1"),
    ):
        with pytest.raises(InputError) as raised:
            sfx("data", "show", data, *words)
        assert raised.value.code == "SFX-E615"
        assert what in str(raised.value)
    assert "samples   2" in sfx("data", "show", data)


def test_importing_sfx_data_imports_no_torch() -> None:
    code = "import sys, sfx.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
