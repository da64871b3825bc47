"""What an installed copy holds, and what the root packages refuse."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import sfx

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("toolchain", "frontends", "backends")


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a new interpreter at the root, where sys.path starts with the root."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("name", PACKAGES)
def test_the_bare_name_of_a_root_package_is_refused(name: str) -> None:
    result = python(f"import {name}")
    assert result.returncode != 0
    assert f"ImportError: import sfx.{name}, not {name}" in result.stderr


@pytest.mark.parametrize("name", PACKAGES)
def test_a_root_package_is_a_relative_link_under_src(name: str) -> None:
    link = ROOT / "src" / "sfx" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / ".." / name


@pytest.mark.parametrize("module", ["sfx", "sfx.toolchain.app.cli"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    heavy = {"torch", "norse", "lava", "matplotlib", "nir", "scipy", "onnx"}
    result = python(f"import {module}, sys; print(*sorted({heavy} & set(sys.modules)))")
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == []


def test_the_command_answers() -> None:
    result = python(
        "import sys; sys.argv = ['sfx', '--help']; import sfx.toolchain.app.cli as c; c.main()"
    )
    assert result.returncode == 0, result.stderr
    for verb in ("compile", "verify", "run", "report"):
        assert verb in result.stdout


def test_a_wheel_holds_every_module_and_data_file_and_the_command(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("src", *PACKAGES):
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=ignore)
    for path in ROOT.iterdir():
        if path.name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(path, copy)
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    built = subprocess.run(
        [*pip, "--wheel-dir", str(tmp_path), str(copy)], capture_output=True, text=True, timeout=300
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob(f"sfx_loihi-{sfx.__version__}-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
        (entry,) = (name for name in held if name.endswith("entry_points.txt"))
        assert "sfx = sfx_loihi:main" in archive.read(entry).decode()
    for name in PACKAGES:
        files = [p for p in (copy / name).rglob("*") if p.is_file()]
        wanted = {f"sfx/{p.relative_to(copy).as_posix()}" for p in files}
        assert wanted <= held, f"not in the wheel: {sorted(wanted - held)}"
    assert not [name for name in held if name.split("/")[0] in PACKAGES]


def third_party(path: Path) -> set[str]:
    """Top-level names that `path` imports and Python does not bring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    absolute = [n for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level]
    names |= {n.module for n in absolute}
    return {name.split(".")[0] for name in names} - {"sfx"} - set(sys.stdlib_module_names)


def test_every_library_that_the_package_imports_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needs = [
        *project["dependencies"],
        *extras["lava"],
        *extras["onnx"],
        *extras["dask"],
        *extras["search"],
        *extras["events"],
    ]
    declared = {re.split(r"[<>=; ]", need)[0].lower() for need in needs}
    distribution = {"lava": "lava-nc", "PIL": "pillow"}  # where the two names differ
    others = {"spikingjelly", "snntorch"}  # used if the user has them, never installed with sfx
    undeclared = {
        f"{path.relative_to(ROOT)}: {name}"
        for folder in PACKAGES
        for path in (ROOT / folder).rglob("*.py")
        for name in third_party(path) - others - {"tomllib"}
        if distribution.get(name, name) not in declared
    }
    assert not undeclared
