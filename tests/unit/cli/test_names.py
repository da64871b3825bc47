"""Every command with a model whose names try to be more than names."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import nir
import numpy as np
import pytest
from rich.text import Text
from typer.testing import CliRunner

from sfx.toolchain.app import api, cli
from sfx.toolchain.app.commands.common import PlainConsole
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ground.shown import shown, visible
from sfx.toolchain.ir.names import MOST, is_clean

NAMES = (
    "a\nEQUAL: reference and lava",
    "\x1b[31mred\x1b[2J",
    "[bold red]markup[blink]",
    ":skull: emoji",
    "$\\frac{x}{y}$",
    "=HYPERLINK(1)",
    "\u202ereversed",
    "long" * 15_000,
)
FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


def hostile(path: Path) -> None:
    """A chain of live neurons with `NAMES`; the weights between them have names of that kind."""
    nodes: dict[str, nir.NIRNode] = {"input": nir.Input(np.array([4]))}
    edges: list[tuple[str, str]] = []
    last = "input"
    for i, name in enumerate(NAMES):
        nodes[f"w{i}\n{name[:40]}"] = nir.Linear(np.eye(4) * 0.75)
        nodes[name] = nir.IF(np.full(4, 1000.0), np.full(4, 0.5), np.zeros(4))
        edges += [(last, f"w{i}\n{name[:40]}"), (f"w{i}\n{name[:40]}", name)]
        last = name
    nodes["output"] = nir.Output(np.array([4]))
    nir.write(path, nir.NIRGraph(nodes, [*edges, (last, "output")], type_check=False))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("names")
    hostile(made / "m.nir")
    rng = np.random.default_rng(0)
    np.savez(made / "x.npz", x=rng.integers(0, 2, (6, 5, 4), dtype=np.uint8), y=np.arange(6) % 4)
    call(made, "compile", "m.nir", "--timesteps", "5", "--calibrate", "x.npz", "-o", "m.sfx")
    return made


def call(folder: Path, *words: str) -> str:
    """What the command prints; files of the folder are meant by their names."""
    files = {p.name for p in folder.iterdir()} | {
        "m.sfx",
        "out.html",
        "out.csv",
        "out.onnx",
        "mapped.sfx",
    }
    named = [str(folder / w) if w in files else w for w in words]
    done = CliRunner().invoke(cli.app, named)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    text = done.output
    assert not FORBIDDEN.search(text), FORBIDDEN.findall(text)
    assert max(map(len, text.splitlines()), default=0) < 5000
    return text


COMMANDS = {
    "check": ("m.nir", "--timesteps", "5", "--calibrate", "x.npz"),
    "run": ("m.sfx", "--input", "x.npz"),
    "map": ("m.sfx", "--objective", "cores", "-o", "mapped.sfx"),
    "inspect": ("m.sfx",),
    "diff": ("m.sfx", "m.sfx"),
    "report": ("m.sfx", "--input", "x.npz", "--html", "out.html", "--csv", "out.csv"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_is_more_than_a_name(folder: Path, command: str) -> None:
    text = call(folder, command, *COMMANDS[command])
    assert not any(line.startswith("EQUAL") for line in text.splitlines())


def test_a_name_forges_no_verdict(folder: Path) -> None:
    text = call(folder, "verify", "m.sfx", "--input", "x.npz", "--against", "onnx")
    assert sum("EQUAL" in line.split(":")[0] for line in text.splitlines()) == 1


def test_the_graph_and_the_program_have_clean_names(folder: Path) -> None:
    names = [p.name for p in api.load(folder / "m.sfx").program]
    assert all(map(is_clean, names))
    assert len(set(names)) == len(names) > len(NAMES)
    assert any("\\nEQUAL" in n for n in names)
    assert any("…" in n and len(n) <= MOST for n in names)


def test_a_table_runs_nothing(folder: Path) -> None:
    call(folder, "report", "m.sfx", "--input", "x.npz", "--csv", "out.csv")
    with (folder / "out.csv").open(newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    assert "'=HYPERLINK(1)" in names
    assert not any(n.startswith(("=", "+", "-", "@")) for n in names)


def test_a_picture_shows_the_name_and_no_formula(folder: Path) -> None:
    call(folder, "report", "m.sfx", "--input", "x.npz", "--html", "out.html")
    page = (folder / "out.html").read_text()
    assert "$\\frac{x}{y}$" in page
    assert "<b>" not in page or "[bold red]markup[blink]" in page


def test_the_console_reads_no_markup_and_no_codes() -> None:
    console = PlainConsole()
    with console.capture() as printed:
        console.print("[bold]a[/] :skull: \x1b[2Jb")
        console.print(Text("c\x07\nd"))
    assert printed.get() == "[bold]a[/] :skull: \\x1b[2Jb\nc\nd\n"


def test_errors_are_one_line_each() -> None:
    error = InputError("SFX-E600", "bad\nEQUAL", where="\x1b[2J" + "x" * 10_000, hint="h\u202e")
    lines = str(error).splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("SFX-E600 \\x1b[2Jxxx")
    assert lines[0].endswith(": bad\\nEQUAL")
    assert lines[1] == "  -> h\\u202e"
    assert len(lines[0]) < 400


@pytest.mark.parametrize("text", ["plain", "µ = 1 → 2", "ä" * 300])
def test_what_can_be_printed_stays(text: str) -> None:
    assert shown(text) == text == visible(text)


def test_the_middle_of_a_long_text_is_cut_out() -> None:
    assert shown("abcdefghij", 5) == "ab…ij"
    assert visible("a\tb\nc\rd\x9b") == "a\tb\nc\\rd\\x9b"
