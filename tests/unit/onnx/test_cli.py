"""`sfx export --to onnx`, `sfx verify --against onnx` and `sfx run --backend onnx`."""

from __future__ import annotations

import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import json  # noqa: E402  (after importorskip)
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from sfx.backends.onnx import parts  # noqa: E402
from sfx.toolchain.app import api  # noqa: E402
from sfx.toolchain.app.cli import app  # noqa: E402
from sfx.toolchain.formats.bundle.bundle import Bundle  # noqa: E402
from sfx.toolchain.ground.errors import InputError, MissingPartError  # noqa: E402
from sfx.toolchain.ir.placed import PlacedProgram  # noqa: E402
from tests import mutate  # noqa: E402
from tests.unit.onnx.nets import compiled  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    placed, x = compiled("causal")
    api.save(Bundle(placed, b"", {}), folder / "model.sfx")
    threshold = placed.program["ct.lif"].neuron.vth  # type: ignore[attr-defined]
    changed = mutate.change_threshold(placed.program, "ct.lif", -(threshold // 2))
    flipped = PlacedProgram(changed, placed.target, placed.blocks)
    api.save(Bundle(flipped, b"", {}), folder / "flipped.sfx")
    np.savez(folder / "x.npz", x=x)
    return folder


def verify(folder: Path, *options: str) -> tuple[int, dict[str, object]]:
    out = folder / "verdict.json"
    command = ["verify", str(folder / "model.sfx"), "--input", str(folder / "x.npz")]
    result = CliRunner().invoke(
        app, [*command, "--against", "onnx", "--states", "--json", str(out), *options]
    )
    assert out.exists(), result.output
    return result.exit_code, json.loads(out.read_text())


def test_verify_is_equal(folder: Path) -> None:
    status, verdict = verify(folder)
    assert status == 0
    assert verdict["equal"] is True
    assert verdict["against"] == "onnx"
    assert verdict["silent"] == []


def test_verify_catches_a_changed_bundle(folder: Path) -> None:
    status, verdict = verify(folder, "--witness", str(folder / "flipped.sfx"))
    assert status == 1
    first = verdict["first_mismatch"]
    assert isinstance(first, dict)
    assert first["population"] == "ct.lif"


def test_export_writes_a_model(folder: Path) -> None:
    path = folder / "model.onnx"
    command = ["export", str(folder / "model.sfx"), "--to", "onnx", "-o", str(path)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    onnx.checker.check_model(onnx.load(path), full_check=True)
    first = path.read_bytes()
    api.export_onnx(api.load(folder / "model.sfx"), path)
    assert path.read_bytes() == first


def test_run_gives_the_sums_of_the_reference(folder: Path) -> None:
    answers = []
    for backend in ("reference", "onnx"):
        out = folder / f"{backend}.json"
        command = ["run", str(folder / "model.sfx"), "--input", str(folder / "x.npz")]
        result = CliRunner().invoke(app, [*command, "--backend", backend, "--json", str(out)])
        assert result.exit_code == 0, result.output
        answers.append(json.loads(out.read_text()))
    for key in ("predictions", "spikes", "synops"):
        assert answers[0][key] == answers[1][key]


def test_what_export_refuses(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = str(folder / "model.sfx")
    result = CliRunner().invoke(app, ["export", model, "--to", "tflite", "-o", "x"])
    assert isinstance(result.exception, InputError)
    assert result.exception.code == "SFX-E640"
    missing = str(folder / "no such folder" / "x")
    result = CliRunner().invoke(app, ["export", model, "-o", missing])
    assert isinstance(result.exception, InputError)
    assert result.exception.code == "SFX-E603"
    monkeypatch.setattr(parts, "find_spec", lambda name: None)
    result = CliRunner().invoke(app, ["export", model, "-o", str(folder / "never.onnx")])
    assert isinstance(result.exception, MissingPartError)
    assert not (folder / "never.onnx").exists()
