"""Who may import whom (CONTRIBUTING.md, "Layers"), read from the source without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("toolchain", "frontends", "backends")

# A layer is a folder, or a file, of the three packages; a module belongs to the longest name here
# that it starts with. It may import itself and what stands behind its name; a name stands for all
# below it. A new folder needs a line, hence a decision. No layer knows one that knows it.
GROUND = {"toolchain.ground"}
IR = GROUND | {"toolchain.ir"}
COMPILER = IR | {"toolchain.targets"}
QUANTIZE = COMPILER | {"toolchain.compiler.quantize.options"}
BACKEND = IR | {"backends.base", "backends.check_input"}
FAST = {"backends.fast.layout", "backends.fast.kernels", "backends.fast.rules"}
LAYERS: dict[str, set[str]] = {
    "toolchain.ground": {"sfx"},  # where the package lies
    "toolchain.ir": GROUND,
    "toolchain.targets": IR,
    "toolchain.formats": IR,
    "toolchain.data": IR,
    "toolchain.compiler.passes": COMPILER,
    "toolchain.compiler.quantize.options": IR,
    "toolchain.compiler.quantize.state": QUANTIZE,
    "toolchain.compiler.quantize.fit": QUANTIZE | {"toolchain.compiler.quantize.state"},
    "toolchain.compiler.quantize.cells": QUANTIZE
    | {"toolchain.compiler.quantize.state", "toolchain.compiler.quantize.fit"},
    "toolchain.compiler.quantize": COMPILER,
    "toolchain.compiler.mapping": COMPILER,
    "toolchain.compiler.cost": COMPILER,
    "toolchain.compiler.precision": COMPILER
    | {"toolchain.compiler.passes", "toolchain.compiler.quantize"},
    "toolchain.compiler": COMPILER | {"toolchain.formats"},
    "toolchain.verify": BACKEND | {"toolchain.formats"},
    "toolchain.report": COMPILER | {"toolchain.compiler", "toolchain.verify", "toolchain.data"},
    "toolchain.qat": COMPILER
    | {"toolchain.compiler", "toolchain.formats", "toolchain.data", "backends.reference"},
    "toolchain.app": {"toolchain", "frontends", "backends", "sfx"},
    "frontends.events": GROUND,
    "frontends.datasets": GROUND | {"toolchain.formats", "frontends.events"},
    "frontends.neurons": GROUND,
    "frontends.zoo": GROUND | {"frontends.neurons"},
    "frontends.checkpoints": GROUND | {"toolchain.formats", "frontends.neurons", "frontends.zoo"},
    "frontends.tracing": IR | {"toolchain.formats", "frontends.neurons"},
    "frontends.witness": IR | {"frontends.neurons", "frontends.tracing"},
    "frontends.training": GROUND
    | {
        "toolchain.formats",
        "frontends.events",
        "frontends.datasets",
        "frontends.neurons",
        "frontends.zoo",
    },
    "backends.base": IR,
    "backends.check_input": IR,
    "backends.reference": BACKEND,  # no backend knows another: they check each other
    "backends.fast.kernels": GROUND,  # loops that know arrays only
    "backends.fast.layout": GROUND,
    "backends.fast.rules": BACKEND | {"backends.fast.layout"},
    "backends.fast.neurons": BACKEND | FAST,
    "backends.fast.connections": BACKEND | FAST,
    "backends.fast.plan": BACKEND | FAST | {"backends.fast.neurons", "backends.fast.connections"},
    "backends.fast.run": BACKEND | FAST | {"backends.fast.neurons", "backends.fast.plan"},
    "backends.fast": BACKEND,
    "backends.lava": BACKEND,
    "backends.onnx": BACKEND | {"sfx"},  # the version, which its models carry
}
ROOTS = {*PACKAGES, "sfx"}
"""The packages themselves: they hold a version and nothing else."""


def within(module: str, name: str) -> bool:
    """Whether `module` is `name` or lies in it; both without the `sfx.` in front."""
    return module == name or module.startswith(f"{name}.")


def layer_of(module: str) -> str:
    """Layer of a module: toolchain.ir.graph -> toolchain.ir."""
    if module in ROOTS:
        return "sfx"
    found = max((n for n in LAYERS if within(module, n)), key=len, default=None)
    assert found, f"{module}: give its folder a line in LAYERS"
    return found


def imports(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """(line, name) of everything of ours that is imported, wherever in the file that stands."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.split(".")[0] == "sfx"]
        elif isinstance(node, ast.ImportFrom) and node.level:
            inner = package[: len(package) - node.level + 1]
            base = ".".join([*inner, *([node.module] if node.module else [])])
            names = [f"{base}.{a.name}".lstrip(".") for a in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sfx":
            names = [f"{node.module}.{a.name}" for a in node.names]
        else:
            continue
        yield from ((node.lineno, n.removeprefix("sfx.")) for n in names)


def violations(path: Path, module: str) -> list[str]:
    """What `path`, importable as `module`, imports against the rules."""
    if module in ROOTS:
        return []
    layer = layer_of(module)
    found = []
    for line, name in imports(path, module):
        free = within(name, layer) or any(within(name, a) for a in LAYERS[layer])
        if not free and layer_of(name) != layer:
            found.append(f"{module}:{line} ({layer}) imports {name}")
    return found


def sources() -> dict[str, Path]:
    """Module name -> file, for all of ours but sfx/__init__.py."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = path
    return found


def circle(edges: Mapping[str, set[str]]) -> list[str]:
    """Names that need each other in turn, or nothing."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_every_module_keeps_to_its_layer() -> None:
    found = [line for name, path in sorted(sources().items()) for line in violations(path, name)]
    assert not found, "\n".join(found)


def test_no_layer_knows_one_that_knows_it() -> None:
    edges = {
        layer: {n for n in LAYERS for a in allowed if n != layer and within(n, a)}
        for layer, allowed in LAYERS.items()
    }
    assert not circle(edges)


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Imports in functions count too: they hide a circle, they do not open it."""
    files = sources()
    edges: dict[str, set[str]] = {}
    for name, path in files.items():
        found = {n for _, n in imports(path, name)}
        of = {n if n in files else n.rpartition(".")[0] for n in found}
        edges[name] = (of & files.keys()) - {name, "toolchain", "frontends", "backends"}
    assert not circle(edges)


def test_a_file_of_ours_imports_ours_by_path() -> None:
    """docs/adr/0015: a tool that follows paths sees what `..ir.graph` is, not what `sfx.` is."""
    absolute = [
        f"{path}:{node.lineno}"
        for path in sources().values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and not node.level and node.module)
        and node.module.split(".")[0] in {"sfx", *PACKAGES}
    ]
    assert not absolute


@pytest.mark.parametrize(
    ("module", "text", "caught"),
    [
        ("toolchain.ir.graph", "from ..ground.errors import SfxError", False),
        ("toolchain.ir.graph", "from sfx.toolchain.ground.errors import SfxError", False),
        ("toolchain.ir.graph", "from ..targets import target", True),
        ("toolchain.ir.graph", "from .. import targets", True),
        ("toolchain.compiler.mapping.place", "from ...targets.target import Target", False),
        ("toolchain.compiler.mapping.place", "def f():\n    from ..cost import model", True),
        ("toolchain.compiler.quantize.fit.lif", "from ..state import values", False),
        ("toolchain.compiler.quantize.state.values", "from ..fit import lif", True),
        ("toolchain.compiler.quantize.fit.lif", "from ..quantize import quantize", True),
        ("toolchain.compiler.compile", "from .cost import model", False),
        ("toolchain.ground.arith", "from ..ir import graph", True),
        ("frontends.neurons.norse", "from ...backends import base", True),
        ("frontends.neurons.norse", "import sfx.backends.base", True),
        ("frontends.tracing.walk", "from ..neurons.registry import read", False),
        ("frontends.neurons.norse", "from ..tracing.walk import walk", True),
        ("backends.lava.build", "from .. import reference", True),
        ("backends.lava.build", "from ..base import Stream", False),
        ("backends.fast.kernels.conv", "from ....toolchain.ir import program", True),
        ("backends.fast.kernels.conv", "from ..layout import Layout", True),
        ("backends.fast.plan.prepared", "from ..run.sent import Sent", True),
        ("backends.fast.run.sent", "from ..plan.prepared import Prepared", False),
        ("toolchain.app.cli", "from ...backends import reference", False),
        ("toolchain.report.page", "from ..app import api", True),
    ],
)
def test_the_check_catches(tmp_path: Path, module: str, text: str, caught: bool) -> None:
    path = tmp_path / "module.py"
    path.write_text(text)
    assert bool(violations(path, module)) == caught


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}})
