"""stdout and stderr: of any encoding, closed, full, without a reader; and what is written there."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import sfx
import sfx_loihi
from sfx.toolchain.app import api, cli, explain
from sfx.toolchain.app.commands import exit_status
from sfx.toolchain.compiler.compile import compile_program
from sfx.toolchain.formats.bundle import bundle as bundles
from sfx.toolchain.formats.bundle.bundle import Bundle
from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ground.files import atomic_write
from sfx.toolchain.targets import load
from sfx.toolchain.targets.table import to_table
from tests.strategies import random_program

ROOT = Path(sfx.__file__).resolve().parents[1]
NOISY = """
import os, sys, warnings
from contextlib import suppress
from dataclasses import replace
from sfx.toolchain.app import cli, explain
real = explain.explain
def noisy(code):
    with suppress(OSError):  # as C does, which looks at no error of what it prints
        os.write(1, b"NOISE past Python\\n")
    os.system("echo NOISE of a process")
    print("NOISE of a library")
    warnings.warn("NOISE")
    return [replace(p, message="\\u00b5 \\u2192 \\u2026") for p in real(code)]
explain.explain = noisy
cli.main()
"""
"""The command with a library that talks, and an answer that not every encoding has."""


def noisy(*words: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """`sfx explain SFX-E611 WORDS`, with the streams as the shell's words say."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {shell}', "sh", sys.executable, "-c", NOISY, "explain", "SFX-E611",
         *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, encoding="utf-8", timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "nowhere.ISO-8859-1", "PYTHONIOENCODING": "ascii"},
    ],
    ids=["C", "ascii", "unknown"],
)
def test_any_locale_and_nothing_but_the_answer(environment: dict[str, str]) -> None:
    done = noisy(**environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("SFX-E611\n")
    assert "NOISE" not in done.stdout
    assert done.stderr.count("NOISE") >= 4
    assert (
        "\u00b5 \u2192 \u2026" if len(environment) == 1 else "\\xb5 \\u2192 \\u2026"
    ) in done.stdout


def test_json_on_stdout_is_alone() -> None:
    done = noisy("--json", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["code"] == "SFX-E611"
    assert "SFX-E611\n" in done.stderr


@pytest.mark.parametrize(
    ("words", "shell", "status"),
    [
        ((), ">&-", 0),
        ((), ">&- 2>&- <&-", 0),
        ((), "2>/dev/full", 0),
        ((), ">/dev/full", 2),
        (("--json", "-"), ">/dev/full", 2),
        (("--json", "-"), ">&-", 2),
    ],
)
def test_closed_and_full(words: tuple[str, ...], shell: str, status: int, tmp_path: Path) -> None:
    path = tmp_path / "e.json"
    done = noisy(*(words or ("--json", str(path))), shell=shell)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert ("SFX-E690" in done.stderr) == (status == 2)
    if not words:
        assert json.loads(path.read_text())["code"] == "SFX-E611", "the work is done, and whole"


def test_a_reader_that_has_gone(tmp_path: Path) -> None:
    """As behind `| head -1`, only sooner: nothing is said, and the files are written."""
    path = tmp_path / "e.json"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", NOISY, "explain", "SFX-E611", "--json", str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=write, stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    os.close(write)
    assert done.returncode == 0, done.stderr
    assert all("NOISE" in line or "warn" in line for line in done.stderr.splitlines())
    assert json.loads(path.read_text())["code"] == "SFX-E611"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    target = load("loihi")
    placed = compile_program(random_program(3, populations=2, max_neurons=8), target)
    facts: dict[str, Any] = {"target": "loihi2", "target_table": to_table(target)}
    facts["model"] = {"name": "m", "sha256": ""}
    bundles.write(Bundle(placed, b"", facts), tmp_path / "m.sfx")
    return tmp_path / "m.sfx"


def test_csv_on_stdout_is_alone(bundle: Path) -> None:
    done = CliRunner().invoke(cli.app, ["report", str(bundle), "--csv", "-"])
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert len(rows) == len(list(api.load(bundle).program))
    assert "cores" in done.stderr
    done = CliRunner().invoke(cli.app, ["report", str(bundle), "--csv", "-", "--json", "-"])
    assert isinstance(done.exception, InputError)
    assert done.exception.code == "SFX-E690"
    assert "cores" in CliRunner().invoke(cli.app, ["report", str(bundle)]).stdout, "as ever"


def test_ctrl_c_says_what_is_kept(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = tmp_path / "done.json"

    def stopped(*arguments: Any, resume: Path | None = None, **options: Any) -> None:
        if resume is not None:
            atomic_write(resume, b"{}")
            atomic_write(resume, b"{}")
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "load", lambda *a, **o: None)
    monkeypatch.setattr(api, "verify", stopped)
    monkeypatch.setattr(
        "sfx.toolchain.app.commands.verify.read_data",
        lambda *a: type("D", (), {"samples": 1, "x": 0}),
    )
    words = ["verify", str(bundle), "--input", "x.npz", "--mode", "layerwise"]
    done = CliRunner().invoke(cli.app, words)
    assert done.exit_code == 130
    assert done.stderr.endswith("interrupted; nothing was written\n")
    done = CliRunner().invoke(cli.app, [*words, "--resume", str(ledger)])
    assert done.exit_code == 130
    assert done.stderr.endswith(f"kept is\n  {ledger}: the same command goes on from it\n")


def test_ctrl_c_before_the_command_has_begun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sfx_loihi, "foreign", stopped)
    with pytest.raises(SystemExit) as ended:
        sfx_loihi.main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "interrupted; nothing was written\n"


def test_a_lack_of_memory_is_one_error(capfd: pytest.CaptureFixture[str]) -> None:
    def fails(error: BaseException) -> Any:
        def command() -> None:
            raise error

        return command

    for error in (
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        ImportError("x.so: failed to map segment from shared object"),
    ):
        assert exit_status.status_of(fails(error)) == 2
        assert "SFX-E605 there was not enough memory" in capfd.readouterr().err
    with pytest.raises(RuntimeError, match="other"):
        exit_status.status_of(fails(RuntimeError("other")))
    assert exit_status.status_of(fails(SystemExit())) == 0
    assert exit_status.status_of(fails(KeyboardInterrupt())) == 130
    assert explain.explain("SFX-E605")
