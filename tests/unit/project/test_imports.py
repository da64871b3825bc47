"""Who may import whom (CONTRIBUTING.md, "Layers"), read from the source without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# A layer is a module or folder of toolchain/, the frontends, or one of the backends. Each may
# import itself, what EVERYONE may, and what stands here. A new module needs a line, hence a
# decision.
EVERYONE = {"errors", "files", "folder", "machine_code", "sfx", "shown"}
BASE = {"arith", "ir"}
COMPILER = BASE | {"targets"}
BACKEND = BASE | {"backends.base", "backends.check_input"}
TOOLS = COMPILER | {"passes", "quantize", "mapping", "cost", "verify", "bundle", "data", "replay"}
TOOLS |= {"memory", "control_groups"}
LAYERS: dict[str, set[str]] = {
    "errors": {"shown"},
    "shown": set(),
    "files": set(),
    "folder": set(),
    "machine_code": set(),
    "arith": set(),
    "ir": {"arith"},
    "targets": BASE,
    "passes": COMPILER,
    "quantize": COMPILER,
    "mapping": COMPILER,
    "cost": COMPILER,
    "verify": BASE | {"backends.base"},
    "npy": set(),
    "control_groups": set(),
    "memory": BASE | {"control_groups"},
    "manifest": COMPILER | {"quantize"},  # the layers' records, whose fields it checks
    "bundle": COMPILER | {"npy", "memory", "manifest"},
    "replay": BASE | {"npy", "bundle", "verify", "backends.base", "backends.check_input"},
    "data": BASE | {"npy", "memory"},
    "cluster": BASE | {"backends.base", "cluster_start"},
    "cluster_start": set(),
    "cluster_host": set(),
    "doctor": COMPILER,
    "explain": set(),
    "standard_nir": COMPILER | {"passes"},
    "compiler": TOOLS,
    "precision": TOOLS,
    "report": TOOLS | {"precision"},
    "qat": TOOLS | {"compiler", "frontends", "backends.reference"},  # to the verdict and back
    "frontends": BASE | {"npy"},
    "backends.base": BASE,
    "backends.check_input": BASE,
    "backends.reference": BACKEND,  # no backend knows another: they check each other
    "backends.fast": BACKEND | {"memory"},  # what a run needs is refused before it starts
    "backends.lava": BACKEND | {"memory"},
    "backends.onnx": BACKEND,
    "backends.netx": BACKEND,
}
UNRESTRICTED = {"api", "cli", "commands", "sfx"}


def layer_of(module: str) -> str:
    """Layer of an absolute module name: sfx.toolchain.ir.graph -> ir."""
    match module.split(".")[1:]:
        case ["toolchain" | "frontends" | "backends"] | []:
            return "sfx"  # the packages themselves: they hold a version and nothing else
        case ["toolchain", name, *_]:
            return name
        case ["backends", name, *_]:
            return f"backends.{name}"
        case [name, *_]:
            return name
    raise AssertionError(module)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, module) of every import of ours, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name.split(".")[0] == "sfx")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "sfx":
            # `from sfx.toolchain import api` names a module; `from sfx.x.y import f` may not.
            yield from ((node.lineno, f"{node.module}.{a.name}") for a in node.names)


def violations(path: Path, module: str) -> list[str]:
    """What `path`, importable as `module`, imports against the rules."""
    layer = layer_of(module)
    if layer in UNRESTRICTED:
        return []
    assert layer in LAYERS, f"{module}: give its layer a line in LAYERS"
    allowed = LAYERS[layer] | EVERYONE | {layer}
    return [
        f"{module}:{line} ({layer}) imports {name}"
        for line, name in imports(path)
        if layer_of(name) not in allowed
    ]


def sources() -> dict[str, Path]:
    """Module name -> file, for all of ours but sfx/__init__.py."""
    found = {}
    for folder in ("toolchain", "frontends", "backends"):
        for path in (ROOT / folder).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(("sfx", *parts)).removesuffix(".__init__")] = path
    return found


def test_every_module_keeps_to_its_layer() -> None:
    found = [line for name, path in sorted(sources().items()) for line in violations(path, name)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "text", "caught"),
    [
        ("sfx.toolchain.ir.graph", "from sfx.toolchain.errors import SfxError", False),
        ("sfx.toolchain.ir.graph", "from sfx.toolchain.targets import target", True),
        ("sfx.toolchain.ir.graph", "from sfx.toolchain import targets", True),
        ("sfx.toolchain.mapping.place", "import sfx.toolchain.targets.target", False),
        ("sfx.toolchain.mapping.place", "def f():\n    import sfx.toolchain.cost.model", True),
        ("sfx.frontends.norse", "import sfx.backends.base", True),
        ("sfx.backends.lava.build", "from sfx.backends import reference", True),
        ("sfx.backends.lava.build", "from sfx.backends.base import Stream", False),
        ("sfx.toolchain.cli", "from sfx.backends import reference", False),
    ],
)
def test_the_check_catches(tmp_path: Path, module: str, text: str, caught: bool) -> None:
    path = tmp_path / "module.py"
    path.write_text(text)
    assert bool(violations(path, module)) == caught
