"""Generated pages are what the code gives, and files and modules that a page names exist."""

from __future__ import annotations

import ast
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

ROOT = Path(__file__).resolve().parents[3]
TOP = ("toolchain", "frontends", "backends", "examples", "tests", "benchmarks", "scripts", "docs")
TOP += ("findings", "src")
ELSEWHERE = {"examples/mnist/data.npz"}
"""Named, but made when a command is run."""
PATH = re.compile(rf"(?<![\w/.])(?:{'|'.join(TOP)})/[\w./*{{}},-]*[\w/*}}]")
MODULE = re.compile(r"(?<![\w/.-])sfx(?:\.[A-Za-z_]\w*)+")
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


def pages() -> list[Path]:
    """Pages of the project, relative to its root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(f.relative_to(ROOT) for f in found)


def texts() -> Iterator[Path]:
    """Code and pages."""
    yield from (ROOT / page for page in pages())
    for top in TOP:
        yield from (ROOT / top).rglob("*.py")


def named(text: str) -> Iterator[str]:
    """Paths from the root, modules of sfx, and targets of links."""
    for pattern, group in ((PATH, 0), (MODULE, 0), (LINK, 1)):
        yield from (found[group] for found in pattern.finditer(text))


def exists(name: str, folder: Path = ROOT) -> bool:
    """Whether there is such a path (from the root, or `folder`) or such a module or name of sfx."""
    if MODULE.fullmatch(name):
        return _module(name.split("."))
    choices = re.fullmatch(r"(.*)\{(.+)\}(.*)", name)
    if choices:
        parts = choices[2].split(",")
        return all(exists(f"{choices[1]}{p}{choices[3]}", folder) for p in parts)
    found = (any(base.glob(end)) for base in (folder, ROOT) for end in (name, f"{name}.py"))
    return any(found)


def _module(parts: list[str]) -> bool:
    """sfx.a.b: a folder or file a/b, or the name b that stands in a."""
    place = ROOT / "src"
    for i, part in enumerate(parts):
        if (place / part).is_dir():
            place = place / part
        elif (place / f"{part}.py").is_file():
            return _holds(place / f"{part}.py", parts[i + 1 :])
        else:
            return _holds(place / "__init__.py", parts[i:])
    return True


def _holds(file: Path, names: list[str]) -> bool:
    """Whether the name stands in the file; only the first of a dotted one is looked for."""
    if not names:
        return True
    body = ast.parse(file.read_text(encoding="utf-8"))
    found = {n.name for n in ast.walk(body) if isinstance(n, ast.ClassDef | ast.FunctionDef)}
    found |= {n.id for n in ast.walk(body) if isinstance(n, ast.Name)}
    found |= {a.asname or a.name for n in ast.walk(body) if _imports(n) for a in n.names}
    return names[0] in found


def _imports(node: ast.AST) -> TypeGuard[ast.Import | ast.ImportFrom]:
    return isinstance(node, ast.Import | ast.ImportFrom)


def up_to_date(script: str) -> None:
    """What a script in docs/ writes is what it would write now."""
    command = [sys.executable, str(ROOT / "docs" / script), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.needs_torch
def test_supported_ops_page_is_up_to_date() -> None:
    up_to_date("generate.py")


def test_the_picture_of_the_layers_is_up_to_date() -> None:
    up_to_date("layers.py")


@pytest.mark.needs_torch
@pytest.mark.slow
def test_the_stages_of_the_demo_are_up_to_date() -> None:
    up_to_date("stages.py")


def test_every_adr_is_listed_and_every_one_cited_exists() -> None:
    folder = ROOT / "docs" / "adr"
    records = {int(f.name[:4]): f for f in folder.glob("0*.md")}
    listed = re.findall(r"^\| \[(\d+)\]\((\S+)\)", (folder / "README.md").read_text("utf-8"), re.M)
    assert {int(n): folder / name for n, name in listed} == records
    for number, record in records.items():
        title, _, status = record.read_text("utf-8").splitlines()[:3]
        assert title.startswith(f"# {number}. ")
        assert re.match(r"Status: (accepted|proposed|superseded by \d{4}), \d{4}-\d\d-\d\d", status)
    for page in texts():
        for number in re.findall(r"(?:\bADR |docs/adr/)0*(\d+)", page.read_text("utf-8")):
            assert int(number) in records, f"{page} cites ADR {number}"


@pytest.mark.parametrize("page", pages(), ids=str)
def test_every_file_and_module_that_a_page_names_exists(page: Path) -> None:
    missing = [
        name
        for name in named((ROOT / page).read_text("utf-8"))
        if not (exists(name, (ROOT / page).parent) or name in ELSEWHERE)
        and "/NAME." not in name  # of a file to be written: test_contributing.py
    ]
    assert missing == []


def test_what_is_named_is_found() -> None:
    text = "`toolchain/ir/graph.py` and (`sfx.nir`) in tests/e2e/, [here](semantics.md) x/y.py"
    assert set(named(text)) == {"toolchain/ir/graph.py", "sfx.nir", "tests/e2e/", "semantics.md"}
    assert exists("toolchain/ir/graph.py")
    assert exists("sfx.toolchain.ir.graph.Graph")
    assert exists("sfx.compile")
    assert not exists("toolchain/ir/gone.py")
    assert not exists("sfx.toolchain.ir.gone")
    assert not exists("sfx.toolchain.ir.graph.Gone")


@pytest.mark.needs_torch
@pytest.mark.parametrize(
    "name", ["accuracy", "conventions", "equivalence", "mapping", "models", "performance"]
)
def test_a_page_of_figures_is_what_its_script_writes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the stored record: nothing is measured."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    script = importlib.import_module(name)
    found = json.loads((ROOT / "benchmarks" / f"{name}.json").read_text("utf-8"))
    if name in ("models", "equivalence"):
        found = [script.Row(**row) for row in found]
    page = script.page(found)
    page = script.with_table(page) if name == "models" else page
    assert page == (ROOT / "docs" / f"{name}.md").read_text("utf-8")
