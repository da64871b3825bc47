"""Promises of the files around the code: one version everywhere, nothing bound to one machine."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

import sfx

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[3]
CONSTRAINTS = sorted(ROOT.glob("constraints-*.txt"))


def tracked() -> list[Path]:
    """Files of the repository, new ones included; symlinks and binary files left out."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip(f"not a git checkout: {git.stderr.strip()}")
    paths = [ROOT / name for name in git.stdout.split("\0") if name]
    files = [p for p in paths if p.is_file() and not p.is_symlink()]
    return [p for p in files if b"\0" not in p.read_bytes()[:4096]]


def lines_matching(pattern: str) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in tracked()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]


def test_no_file_names_a_path_of_one_machine() -> None:
    assert len(tracked()) > 20
    assert lines_matching(r"(?<![\w.~}])/(home|root|work|Users|opt)/\w") == []


def test_no_file_names_a_package_index() -> None:
    option = r"--(extra-)?index-url|--find-links|--trusted-host"
    host = r"://[\w.-]*(pypi|pythonhosted|registry|packages?)\.[\w.-]+|download\.pytorch"
    assert lines_matching(f"{option}|{host}") == []


@pytest.mark.parametrize("path", [*CONSTRAINTS, ROOT / "pyproject.toml"], ids=lambda p: p.name)
def test_what_is_installed_comes_by_name_alone(path: Path) -> None:
    assert "://" not in path.read_text()


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda p: p.name)
def test_every_constraint_is_one_exact_version(path: Path) -> None:
    pins = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    assert len(pins) > 50
    malformed = [p for p in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9A-Za-z.]*", p)]
    assert not malformed
    assert len({pin.split("==")[0].lower() for pin in pins}) == len(pins)


def test_every_dependency_has_a_constraint() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    kinds = {
        "constraints-py310.txt": [*project["dependencies"], *chain(*extras.values())],
        "constraints-py311.txt": [*project["dependencies"], *extras["onnx"], *extras["dev"]],
    }
    for file, needs in kinds.items():
        text = (ROOT / file).read_text().lower()
        for need in needs:
            name = re.split(r"[<>=;\[ ]", need)[0]
            if not (file == "constraints-py311.txt" and "python_version" in need):
                assert re.search(rf"^{name}==", text, re.MULTILINE), f"{file}: {name}"


def test_one_version_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == sfx.__version__
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "Unreleased" or sections[0] == sfx.__version__
    assert sfx.__version__ in sections


def test_every_script_of_the_shell_parses() -> None:
    scripts = [p for p in tracked() if p.read_bytes().startswith(b"#!/usr/bin/env bash")]
    assert {"run", "setup", "find-python"} <= {p.name for p in scripts}
    for path in scripts:
        checked = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert path.stat().st_mode & 0o111, f"{path}: not executable"
