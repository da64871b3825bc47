"""Output paths are looked at before the work, and what is written is whole or not there."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from matplotlib.figure import Figure
from typer.models import OptionInfo
from typer.testing import CliRunner

from sfx.toolchain.app import cli
from sfx.toolchain.app.commands import data
from sfx.toolchain.ground import files
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.report import pictures

READ = {
    "model", "bundle", "data", "file", "calibrate", "witness", "verified", "a", "b", "other",
    "fits", "path", "tls_ca", "tls_cert", "tls_key", "source",
}  # fmt: skip
WORDS = {
    "compile": ["absent.nir"],
    "check": ["absent.nir"],
    "quantize": ["absent.nir", "--input", "absent.npz"],
    "map": ["absent.sfx"],
    "run": ["absent.sfx", "--input", "absent.npz"],
    "verify": ["absent.sfx", "--input", "absent.npz"],
    "replay": ["absent.replay"],
    "diff": ["absent.sfx", "absent.sfx"],
    "report": ["absent.sfx"],
    "export": ["absent.sfx"],
    "explain": ["SFX-E999"],
    "train": ["absent.toml", "-o", "out"],
    "data convert": ["absent", "--from", "nmnist"],
    "data show": ["absent.npz"],
}
PICTURED = {("compile", "--picture"), ("data show", "-o")}
FOLDERS = {("compile", "--dump-passes"), ("check", "--dump-passes"), ("train", "-o")}
NAMED = {".png": PICTURED, ".toml": {("quantize", "-o")}}


def outputs() -> Iterator[tuple[str, str]]:
    """(command, option) of every parameter that is a path and is not known to be read."""
    commands = {c.callback.__name__: c.callback for c in cli.app.registered_commands}
    commands |= {f"data {c.callback.__name__}": c.callback for c in data.app.registered_commands}
    for command, function in commands.items():
        for name, hint in get_type_hints(function, include_extras=True).items():
            parts = list(flat(hint))
            if Path in parts and name not in READ:
                options = [p for p in parts if isinstance(p, OptionInfo)]
                # in an annotation the first name stands where the default does otherwise
                names = [o.default for o in options if isinstance(o.default, str)]
                yield command, next(iter(names), f"--{name}")


def flat(hint: Any) -> Iterator[Any]:
    """The types and options in a hint; Python 3.10 makes optional what is so already."""
    for part in get_args(hint):
        yield from flat(part)
    if not get_args(hint):
        yield hint


OUTPUTS = list(outputs())


def refused(words: list[str]) -> InputError:
    done = CliRunner().invoke(cli.app, words)
    assert isinstance(done.exception, InputError), done.output
    return done.exception


def suffix(command: str, option: str) -> str:
    return next((s for s, options in NAMED.items() if (command, option) in options), ".x")


def test_the_options_are_found() -> None:
    assert len(OUTPUTS) > 20
    assert {c for c, _ in OUTPUTS} == set(WORDS)
    assert {("report", "--html"), ("verify", "--resume"), *PICTURED, *FOLDERS} < set(OUTPUTS)


@pytest.mark.parametrize(("command", "option"), OUTPUTS)
def test_every_output_is_looked_at_before_the_work(
    command: str, option: str, tmp_path: Path
) -> None:
    """None of the inputs is there, and the output is what is complained of."""
    (tmp_path / "file").touch()
    taken = tmp_path / f"folder{suffix(command, option)}"
    if (command, option) in FOLDERS:
        taken.touch()  # where a folder is written, a file is in its way
    else:
        taken.mkdir()
    for place in ("no/folder", "file/in", "folder", "n" * 300):
        path = tmp_path / f"{place}{suffix(command, option)}"
        error = refused([*command.split(), *WORDS[command], option, str(path)])
        assert error.code == "SFX-E603"
        assert str(path) in str(error) or place[0] == "n"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "file",
        f"folder{suffix(command, option)}",
    ]


@pytest.mark.parametrize("command", ["compile", "verify"])
def test_so_are_the_default_outputs(command: str, tmp_path: Path) -> None:
    model = tmp_path / "no" / "m.sfx"
    words = ["--input", "absent.npz"] if command == "verify" else []
    assert refused([command, str(model), *words]).code == "SFX-E603"


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root is asked as well: nobody writes on a file system that is mounted to be read."""
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    error = refused(["report", "absent.sfx", "--html", str(tmp_path / "r.html")])
    assert error.code == "SFX-E603"
    assert "may not be written" in str(error)


@pytest.mark.parametrize("name", ["p.gif", "p", "p.pdf", ".png"])
@pytest.mark.parametrize(("command", "option"), sorted(PICTURED))
def test_pictures_are_png_or_svg(command: str, option: str, name: str, tmp_path: Path) -> None:
    words = [*command.split(), *WORDS[command], option, str(tmp_path / name)]
    assert ".png or .svg" in str(refused(words))
    with pytest.raises(InputError, match=r"SFX-E603.*\.png or \.svg"):
        pictures.save(Figure(), tmp_path / name)


def test_a_picture_is_written_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.PNG"
    path.write_bytes(b"old")

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as m:
        m.setattr(os, "fsync", full)
        with pytest.raises(InputError, match=r"SFX-E603.*No space left"):
            pictures.save(Figure(), path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["p.PNG"]
    with pytest.raises(InputError, match=r"SFX-E603.*there is no folder"):
        pictures.save(Figure(), tmp_path / "no" / "p.png")
    pictures.save(Figure(), path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_name_as_long_as_can_be(tmp_path: Path) -> None:
    """What is written beside it before has a name of its own."""
    path = tmp_path / ("n" * 255)
    files.writable(path)
    files.atomic_write(path, b"x")
    assert path.read_bytes() == b"x"
