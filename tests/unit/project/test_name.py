"""Our name is another project's in the registry: nothing sends a user there, and it is noticed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import sfx
from sfx.toolchain.app import doctor
from tests.unit.project.test_files import lines_matching

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_distribution_has_a_name_of_its_own() -> None:
    assert PROJECT["name"] == "sfx-loihi"
    assert PROJECT["scripts"] == {"sfx": "sfx_loihi:main"}


def test_nothing_tells_anyone_to_install_our_name() -> None:
    found = [
        line
        for line in lines_matching(r"\bsfx\[|\binstall\b[^;:,.]*\bsfx\b(?!\.|-)")
        if not line.startswith("tests/unit/project/")
    ]
    assert [line for line in found if "another project" not in line] == []


def test_what_a_hint_installs_is_declared() -> None:
    """`pip install` in a message names the libraries themselves, in the versions of the extras."""
    extras = set(chain(*PROJECT["optional-dependencies"].values()))
    declared = {need.split(";")[0].strip() for need in extras}
    hints = [
        line.split("pip install ")[1]
        for folder in ("toolchain", "backends", "frontends")
        for line in lines_matching(r"(?i)hint ?= ?.*pip install ")
        if line.startswith(folder)
    ]
    assert len(hints) >= 4
    for hint in hints:
        named = re.findall(r"[a-z-]+(?:>=|==)[0-9.]+[0-9]", hint)
        assert named, hint
        assert set(named) <= declared, hint


def distribution(folder: Path, summary: str, command: str = "") -> None:
    info = folder / "sfx-0.1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: sfx\nVersion: 0.1.0\nSummary: {summary}\n"
    )
    if command:
        (info / "entry_points.txt").write_text(f"[console_scripts]\nsfx = {command}\n")


def test_doctor_names_a_foreign_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path, "Data-Driven Inference of Colloidal Interactions")
    (tmp_path / "sfx").mkdir()
    (tmp_path / "sfx" / "__init__.py").touch()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    one, other = doctor.clashes()
    assert f"sfx 0.1.0 in {tmp_path}" in one
    assert "another project's (Data-Driven Inference" in one
    assert str(tmp_path / "sfx" / "__init__.py") in other


def test_doctor_names_our_own_earlier_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribution(tmp_path, "ours", "sfx.toolchain.app.cli:main")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    (clash,) = doctor.clashes()
    assert "this project under its earlier name" in clash


def test_doctor_is_content_with_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(Path(sfx.__file__).parents[1])])
    assert not [c for c in doctor.clashes() if "earlier name" not in c]


def command(*path: Path) -> subprocess.CompletedProcess[str]:
    """`sfx --help` as the installed command starts it, with these folders first."""
    code = "import sys; sys.argv = ['sfx', '--help']; from sfx_loihi import main; main()"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
    )


def test_a_foreign_package_in_our_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "sfx").mkdir()
    init = tmp_path / "sfx" / "__init__.py"
    init.write_text("raise SystemExit('imported')\n")
    done = command(tmp_path, ROOT / "src")
    assert done.returncode == 3
    assert f"SFX-E660 {init}: the package `sfx` found here is another project's" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert command(ROOT / "src").returncode == 0
