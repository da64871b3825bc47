"""The table of formats: every row works in the commands, and nothing else decides by suffix."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from sfx.toolchain.app import api
from sfx.toolchain.app.api.files import function
from sfx.toolchain.app.cli import app
from sfx.toolchain.formats import table
from sfx.toolchain.formats.nir.bridge import write as write_nir
from sfx.toolchain.formats.table import FORMATS, Holds
from sfx.toolchain.ground.errors import InputError, SfxError
from sfx.toolchain.ir import graph as g
from tests.unit.ir.graphs import chain
from tests.unit.netx import files as net_files

ROOT = Path(__file__).resolve().parents[3]
SUFFIXES = sorted({s for f in FORMATS for s in f.suffixes})
NEEDS = {"torch": "torch", "fine-tuned": "torch", "safetensors": "torch", "onnx": "onnx"}
"""What a small file of the format is made with."""


def command(*words: object) -> Result:
    return CliRunner().invoke(app, [str(w) for w in words])


def small_graph() -> g.Graph:
    weight = np.array([[1.0, 0.5, 0.25], [0.25, 1.0, 0.5]])
    return chain(
        ("input", g.Input(1), (3,)),
        ("weights", g.Linear(weight, np.zeros(2)), (2,)),
        ("lif", g.LIF(0.5, 0.4), (2,)),
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("formats")


def small(name: str, folder: Path) -> Path:
    """A sound file of the format, made once."""
    found = table.named(name)
    path = folder / f"{name}{found.suffixes[0]}"
    if not path.exists():
        MAKE[name](path)
    return path


def _torch(path: Path) -> None:
    from sfx.frontends.checkpoints.save import save
    from tests.unit.qat.nets import spikeformer

    save(spikeformer(), path)


def _safetensors(path: Path) -> None:
    from safetensors.torch import save_file

    from sfx.toolchain.formats.torch_file.read import read

    content = read(small("torch", path.parent))
    head = {k: content[k] for k in ("sfx", "model", "config")}
    save_file(dict(content["state_dict"]), path, {"sfx": json.dumps(head)})


def _fine_tuned(path: Path) -> None:
    from sfx.toolchain.qat.store import save
    from tests.unit.qat.nets import prepared

    save(prepared(), path)


def _onnx(path: Path) -> None:
    from sfx.toolchain.formats.onnx.write import to_onnx

    path.write_bytes(to_onnx(small_graph()).SerializeToString(deterministic=True))


def _bundle(path: Path) -> None:
    api.save(api.compile(small("netx", path.parent)), path)


MAKE = {
    "torch": _torch,
    "safetensors": _safetensors,
    "fine-tuned": _fine_tuned,
    "nir": lambda path: write_nir(small_graph(), path),
    "onnx": _onnx,
    "netx": lambda path: net_files.write(path, net_files.live_conv_net()),
    "bundle": _bundle,
}
SHOWN = {
    "torch": "model: 'spikeformer'",
    "safetensors": "model: 'spikeformer'",
    "fine-tuned": "model: 'qat'",
    "nir": "lif 2 = LIF(decay=0.5",
    "onnx": "lif 2 = LIF(decay=0.5",
    "netx": "conv1 4x6x2 LIF(",
    "bundle": "conv1 4x6x2 LIF(",
}
"""A piece of what `sfx inspect` says of the small file."""
every = pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            f.name, marks=[pytest.mark.needs_torch] if NEEDS.get(f.name) == "torch" else []
        )
        for f in FORMATS
    ],
)


def needs(name: str) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])


def test_every_row_has_a_small_file() -> None:
    assert set(MAKE) == set(SHOWN) == {f.name for f in FORMATS}
    assert len({f.name for f in FORMATS}) == len(FORMATS)


@every
def test_the_file_is_of_its_format(name: str, folder: Path) -> None:
    needs(name)
    path = small(name, folder)
    assert table.of(path) == table.named(name)
    begins = table.named(name).begins
    assert path.read_bytes().startswith(begins)
    assert bool(begins) == (table.named(name) in table.begins_as(path))


@every
def test_inspect(name: str, folder: Path) -> None:
    needs(name)
    done = command("inspect", small(name, folder))
    assert done.exit_code == 0, done.exception
    assert SHOWN[name] in done.output


@every
def test_check_and_compile(name: str, folder: Path) -> None:
    """A bundle is no model, and every other file is one."""
    needs(name)
    path, out = small(name, folder), folder / f"{name}.out"
    x = folder / f"{name}.npz"
    if table.named(name).holds is Holds.WEIGHTS:
        from tests.unit.qat.nets import events

        np.savez(x, x=events(2).astype(np.uint8))
    else:
        np.savez(x, x=np.ones((2, 3, 3), np.uint8))
    asked = ["--calibrate", x] if table.named(name).holds in table.FLOAT else []
    for words in (["check", path, *asked], ["compile", path, "-o", out, *asked]):
        done = command(*words)
        if name == "bundle":
            assert isinstance(done.exception, InputError)
            assert done.exception.code == "SFX-E620"
            assert "holds a compiled model" in str(done.exception)
            assert not out.exists()
        else:
            assert done.exit_code == 0, done.exception
    if name != "bundle":
        assert api.load(out).manifest["model"]["name"]


@pytest.mark.parametrize("name", [f.name for f in FORMATS if f.holds not in table.FLOAT])
def test_what_holds_integers_is_no_float_model(name: str, folder: Path) -> None:
    needs(name)
    with pytest.raises(InputError, match=r"E620|E364") as error:
        api.load_model(small(name, folder))
    assert table.named(name).holds.value in str(error.value)


@pytest.mark.needs_torch
def test_half_precision_weights_are_told_from_a_fine_tuned_model(tmp_path: Path) -> None:
    """By the header alone: numpy, which reads fine-tuned models, has no bfloat16."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    path = tmp_path / "m.safetensors"
    save_file({"w": torch.full((2,), 1.5, dtype=torch.bfloat16)}, path)
    assert table.of(path) == table.named("safetensors")
    assert api.inspect(path) == "w: bfloat16 2\n"
    with pytest.raises(InputError, match="SFX-E115"):
        api.compile(path)


def test_the_functions_of_every_row_exist() -> None:
    for row in FORMATS:
        pytest.importorskip(NEEDS.get(row.name, "numpy"))
        for name in filter(None, (row.reader, row.inspector, row.writer)):
            assert callable(function(name)), name
        assert row.writer or not row.export


def test_the_table_and_the_help_import_no_library_of_a_format() -> None:
    heavy = {"torch", "h5py", "onnx", "nir", "safetensors"}
    code = (
        "import sys; import sfx.toolchain.app.cli, sfx.toolchain.formats.table; "
        f"print(sorted({heavy} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_help_and_messages_list_what_the_table_lists(tmp_path: Path) -> None:
    def shown(*words: str) -> str:
        return " ".join(command(*words, "--help").output.replace("│", " ").split())

    assert table.suffixes(table.MODELS) in shown("compile")
    assert table.suffixes(table.MODELS) in shown("check")
    assert table.suffixes(table.FLOAT) in shown("quantize")
    assert table.suffixes() in shown("inspect")
    for row in FORMATS:
        assert not row.export or f"{row.name}: {row.export}" in shown("export")
    (tmp_path / "m.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"SFX-E620.*unknown kind of model file '\.bin'") as error:
        api.compile(tmp_path / "m.bin")
    assert table.described(table.MODELS) in str(error.value)
    assert all(s in str(error.value) for s in SUFFIXES if s != ".sfx")


@pytest.mark.parametrize(
    ("content", "suffix", "code", "like"),
    [
        ("netx", ".nir", "SFX-E201", ""),  # both are HDF5: the reader says what is missing
        ("netx", ".pt", "SFX-E110", ".nir or .net"),
        ("nir", ".net", "SFX-E160", ""),
        ("nir", ".safetensors", "SFX-E110", ".nir or .net"),
        ("nir", ".sfx", "SFX-E601", ".nir or .net"),
        ("bundle", ".nir", "SFX-E201", ".pt, .pth, .ckpt, .pth.tar or .sfx"),
        ("bundle", ".onnx", "SFX-E171", ".pt, .pth, .ckpt, .pth.tar or .sfx"),
        ("bundle", ".pt", "SFX-E110", ""),
    ],
)
@pytest.mark.needs_torch
def test_a_suffix_that_lies(
    content: str, suffix: str, code: str, like: str, folder: Path, tmp_path: Path
) -> None:
    """The reader that the suffix chose refuses the file, and its content is named."""
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    path = tmp_path / f"m{suffix}"
    shutil.copy(small(content, folder), path)
    for call in (api.inspect, api.load if suffix == ".sfx" else api.compile):
        with pytest.raises(SfxError) as error:
            call(path)
        assert error.value.code == code
        said = f"it begins as a {like} does"
        assert said in str(error.value) if like else "it begins as" not in str(error.value)


def test_nothing_else_decides_by_suffix() -> None:
    """No comparison with a suffix of the table, and no `endswith`, in any other file of ours."""
    found = []
    for package in ("toolchain", "frontends", "backends"):
        for path in (ROOT / package).rglob("*.py"):
            if path.name != "table.py" or path.parent.name != "formats":
                text = path.read_text(encoding="utf-8")
                if any(s in text for s in SUFFIXES):
                    found += [f"{path}:{n}" for n in suffix_tests(text)]
    assert not found
    assert suffix_tests("if path.suffix in ('.nir', '.x'): pass") == [1]
    assert suffix_tests("\nok = name.endswith('.safetensors')") == [2]


def suffix_tests(text: str) -> list[int]:
    """Lines that compare something with a suffix of the table."""
    lines = []
    for node in ast.walk(ast.parse(text)):
        compared = isinstance(node, ast.Compare) or (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "endswith"
        )
        inside = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
        if compared and inside & set(SUFFIXES):
            lines.append(node.lineno)
    return lines


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
@pytest.mark.parametrize("name", ["nir", "netx"])
def test_an_hdf5_name_is_looked_into(name: str, suffix: str, folder: Path, tmp_path: Path) -> None:
    path = tmp_path / f"m{suffix}"
    shutil.copy(small(name, folder), path)
    assert table.of(path) == table.named(name)
    assert SHOWN[name] in api.inspect(path)
    assert api.compile(path, timesteps=2).program.timesteps == 2


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
@pytest.mark.parametrize(("content", "said"), [("model_weights", "'model_weights'"), ("", "empty")])
def test_another_hdf5_file_is_named(content: str, said: str, suffix: str, tmp_path: Path) -> None:
    import h5py

    path = tmp_path / f"m{suffix}"
    if content:
        with h5py.File(path, "w") as file:
            file.create_group(content)
    else:
        path.write_text("no such format")
    for call in (api.inspect, api.compile):
        with pytest.raises(InputError, match=said) as error:
            call(path)
        assert error.value.code == "SFX-E623"
        assert "'node'" in str(error.value)


def test_the_name_of_a_model_is_its_files_without_its_ending() -> None:
    names = ("net.pth.tar", "net.v2.pt", "net.h5", "net", "net.nir", ".pt")
    assert [table.stem(Path(n)) for n in names] == ["net", "net.v2", "net", "net", "net", ".pt"]
