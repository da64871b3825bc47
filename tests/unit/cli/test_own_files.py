"""One's own files and options through the commands: names that scripts give, weights, layouts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

torch = pytest.importorskip("torch")
pytest.importorskip("snntorch", reason="snnTorch is not installed")

import snntorch  # noqa: E402
from torch import nn  # noqa: E402

import sfx  # noqa: E402
from sfx.toolchain.app.cli import app  # noqa: E402
from sfx.toolchain.formats.nir.conventions import NirOptions  # noqa: E402
from sfx.toolchain.ground.errors import InputError  # noqa: E402
from sfx.toolchain.ir.program import Program  # noqa: E402
from tests.unit.frontends.frameworks import lively  # noqa: E402

pytestmark = pytest.mark.needs_torch
T, CLASSES = 4, 3
MODEL = f"{__name__}:make"
LAYOUT = ("--input-layout", "step")


def make() -> nn.Module:
    """fc, neuron, fc, neuron; the caller loops over the steps."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 6), snntorch.Leaky(0.5, init_hidden=True, reset_mechanism="zero"),
        nn.Linear(6, CLASSES), snntorch.Leaky(0.5, init_hidden=True, reset_mechanism="zero"),
    )  # fmt: skip


def neurons(program: Program) -> list[str]:
    """Name and integers of every population: they follow the weights through the quantizer."""
    return [f"{p.name} {p.neuron} {p.low}..{p.high}" for p in program]


STATE = lively(make(), seed=2).state_dict()
OTHER = lively(make(), seed=3).state_dict()
FILES = {
    "w.pth": STATE,
    "w.pth.tar": {"epoch": 3, "state_dict": STATE, "best_acc1": np.float64(0.5)},
    "w.ckpt": {
        "state_dict": {f"net.{k}": v for k, v in STATE.items()},
        "hyper_parameters": {"lr": 0.1},
        "pytorch-lightning_version": "2.0.0",
    },
    "timm.pth.tar": {
        "state_dict": OTHER,
        "state_dict_ema": {f"module.{k}": v for k, v in STATE.items()},
        "args": argparse.Namespace(lr=0.1),
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("own")
    for name, content in FILES.items():
        torch.save(content, made / name)
    rng = np.random.default_rng(0)
    x = (rng.random((6, T, 5)) < 0.5).astype(np.uint8)
    np.savez(made / "x.npz", x=x, y=rng.integers(0, CLASSES, 6))
    return made


def command(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words])


def asked(folder: Path) -> tuple[object, ...]:
    return ("--model", MODEL, *LAYOUT, "--calibrate", folder / "x.npz")


@pytest.mark.parametrize("name", FILES)
def test_the_same_program_whatever_the_file_is_called(name: str, folder: Path) -> None:
    done = command("compile", folder / name, *asked(folder))
    assert done.exit_code == 0, done.exception
    made = folder / f"{name.split('.')[0]}.sfx"
    got = sfx.load(made)
    made.unlink()
    want = sfx.compile(lively(make(), seed=2), calibrate=folder / "x.npz", input_layout="step")
    assert neurons(got.program) == neurons(want.program)
    assert got.manifest["quantization"] == want.manifest["quantization"]


def test_the_weights_that_are_asked_for(folder: Path) -> None:
    path = folder / "timm.pth.tar"
    plain = sfx.compile(path, model=MODEL, calibrate=folder / "x.npz", input_layout="step")
    assert plain.manifest["weights"] == "'state_dict_ema' (not 'state_dict'), without 'module.'"
    done = command("check", path, *asked(folder), "--weights", "state_dict")
    assert done.exit_code == 0, done.exception
    assert "weights from 'state_dict' (not 'state_dict_ema')" in done.output
    other = sfx.compile(lively(make(), seed=3), calibrate=folder / "x.npz", input_layout="step")
    chosen = sfx.compile(
        path, model=MODEL, calibrate=folder / "x.npz", input_layout="step", weights="state_dict"
    )
    assert chosen.manifest["quantization"] == other.manifest["quantization"]
    assert chosen.manifest["quantization"] != plain.manifest["quantization"]
    done = command("check", path, *asked(folder), "--weights", "model")
    assert isinstance(done.exception, InputError)
    assert done.exception.code == "SFX-E156"


def test_quantize_takes_what_compile_takes(folder: Path) -> None:
    out = folder / "q.json"
    done = command(
        "quantize", folder / "timm.pth.tar", *asked(folder), "--input", folder / "x.npz",
        "--weights", "state_dict", "--timesteps", T, "--json", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.exception
    assert json.loads(out.read_text())["samples"] == 6


def test_fine_tuning_takes_what_compile_takes(folder: Path) -> None:
    options = {"model": MODEL, "input_layout": "step", "calibrate": folder / "x.npz"}
    given = folder / "timm.pth.tar"
    tuned = sfx.qat.prepare(given, weights="state_dict", **options)
    want = sfx.compile(given, weights="state_dict", **options)
    assert neurons(tuned.program()) == neurons(want.program)
    in_memory = sfx.qat.prepare(
        lively(make(), seed=3), calibrate=folder / "x.npz", input_layout="step"
    )
    assert neurons(in_memory.program()) == neurons(want.program)


def test_fine_tuning_of_a_nir_file(folder: Path) -> None:
    """A graph and its file, with the length of a step said."""
    graph = sfx.export(lively(make(), seed=3), torch.zeros(T, 1, 5), input_layout="step")
    import nir

    nir.write(folder / "g.nir", graph)
    x = np.load(folder / "x.npz")["x"]
    tuned = sfx.qat.prepare(folder / "g.nir", calibrate=x, nir_options=NirOptions(None, 1e-3, None))
    again = sfx.qat.prepare(graph, calibrate=x)
    assert neurons(tuned.program()) == neurons(again.program())


def test_verify_against_torch_takes_the_same_weights(folder: Path) -> None:
    path, bundle = folder / "timm.pth.tar", folder / "v.sfx"
    words = (*asked(folder), "--weights", "state_dict")
    assert command("compile", path, *words, "-o", bundle).exit_code == 0
    compared = ("verify", bundle, "--input", folder / "x.npz", "--against", "torch", "--source")
    done = command(*compared, path, "--model", MODEL, *LAYOUT, "--weights", "state_dict")
    assert done.exit_code == 0, done.exception
    done = command(*compared, path, "--model", MODEL, *LAYOUT)
    assert isinstance(done.exception, InputError)
    assert done.exception.code == "SFX-E710"


def test_a_module_and_its_example() -> None:
    net, x = lively(make(), seed=2), torch.ones(T, 1, 5)
    bundle = sfx.compile(net, x, input_layout="step")
    assert bundle.program.timesteps == T
    assert bundle.manifest["witness"]["checked"]
    keyword = sfx.compile(net, example=x, input_layout="step")
    exported = sfx.compile(sfx.export(net, x, input_layout="step"))
    for other in (keyword, exported):
        assert bundle.manifest["quantization"] == other.manifest["quantization"]
        assert bundle.nir == other.nir


@pytest.mark.parametrize(
    ("given", "code"), [(make, "SFX-E150"), (lambda: make, "SFX-E624"), (lambda: 3, "SFX-E624")]
)
def test_what_cannot_be_compiled_as_it_is(given: object, code: str) -> None:
    with pytest.raises(InputError) as error:
        sfx.compile(given(), input_layout="step")  # type: ignore[operator]  # each is called
    assert error.value.code == code


def test_an_architecture_in_the_file_has_its_own_weights(folder: Path) -> None:
    from sfx.frontends.checkpoints.save import save
    from tests.unit.qat.nets import spikeformer

    save(spikeformer(), folder / "own.pt")
    with pytest.raises(InputError) as error:
        sfx.compile(folder / "own.pt", weights="state_dict_ema")
    assert error.value.code == "SFX-E157"
