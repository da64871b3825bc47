"""Fine-tuned models on disk: the same integers back, and nothing else believed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.needs_torch

from typer.testing import CliRunner  # noqa: E402

import sfx  # noqa: E402
from sfx.toolchain.app.api import load_model  # noqa: E402
from sfx.toolchain.app.cli import app  # noqa: E402
from sfx.toolchain.data import Data  # noqa: E402
from sfx.toolchain.formats.bundle import bundle as bundles  # noqa: E402
from sfx.toolchain.ground.errors import InputError, SfxError  # noqa: E402
from sfx.toolchain.qat.model import QatModel  # noqa: E402
from tests.unit.qat.nets import events, labels, prepared, time_first, train  # noqa: E402


@pytest.fixture(scope="module")
def trained() -> QatModel:
    model = prepared()
    train(model, events(), labels(), steps=3, rate=3e-3)
    return model


@pytest.fixture
def file(trained: QatModel, tmp_path: Path) -> Path:
    sfx.qat.save(trained, tmp_path / "tuned.safetensors")
    return tmp_path / "tuned.safetensors"


def test_load_continues_where_save_stopped(trained: QatModel, file: Path) -> None:
    again = sfx.qat.load(file)
    x = time_first(events(4, seed=5))
    assert torch.equal(again(x), trained(x))
    one, two = prepared(), sfx.qat.load(file)
    one.load_state_dict(trained.state_dict())
    a = train(one, events(), labels(), steps=3, rate=3e-3)
    b = train(two, events(), labels(), steps=3, rate=3e-3)
    assert a == b
    assert sfx.qat.verify(two, events(2)).equal


def test_the_file_compiles_to_the_models_bundle(trained: QatModel, file: Path) -> None:
    from_model, from_file = sfx.compile(trained), sfx.compile(file)
    out = file.with_suffix(".sfx")
    found = CliRunner().invoke(app, ["compile", str(file), "-o", str(out)])
    assert found.exit_code == 0, found.output
    bodies = []
    for bundle in (from_model, from_file, bundles.read(out)):
        bundles.write(bundles.Bundle(bundle.placed, b"", {}), file.with_name("x.sfx"))
        bodies.append(file.with_name("x.sfx").read_bytes())
    assert bodies[0] == bodies[1] == bodies[2]
    assert bundles.read(out).manifest["qat"]["weight_bits"]


def test_a_damaged_file_is_refused(file: Path) -> None:
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        broken = bytearray(content)
        broken[int(rng.integers(0, 6000))] ^= 1 << int(rng.integers(0, 8))
        file.write_bytes(bytes(broken))
        try:
            sfx.qat.load(file)
        except SfxError:
            refused += 1
    assert refused > 30
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError) as error:
        sfx.qat.load(file)
    assert error.value.code == "SFX-E363"


def test_parameters_that_do_not_give_the_integers_are_refused(file: Path) -> None:
    from safetensors.torch import load_file, safe_open, save_file

    with safe_open(file, framework="pt") as f:
        metadata = f.metadata()
    tensors = load_file(file)
    name = next(n for n in tensors if n.startswith("weights."))
    tensors[name] = -tensors[name]
    save_file(tensors, file, metadata)
    with pytest.raises(InputError, match="do not give its integers"):
        sfx.qat.load(file)
    tensors[name][:] = float("nan")
    save_file(tensors, file, metadata)
    with pytest.raises(InputError, match="NaN"):
        sfx.qat.load(file)


def test_missing_and_foreign_files_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    for name in ("none.safetensors", "other.safetensors"):
        with pytest.raises(InputError) as error:
            sfx.qat.load(tmp_path / name)
        assert error.value.code == "SFX-E363"


def test_a_fine_tuned_model_is_not_quantized_again(file: Path) -> None:
    data = Data(events(2), None)
    with pytest.raises(InputError, match="integers already"):
        sfx.compile(file, calibrate=data)
    with pytest.raises(InputError, match="integers are fixed") as error:
        load_model(file)
    assert error.value.code == "SFX-E364"
