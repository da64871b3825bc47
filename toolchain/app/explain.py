"""What an error code stands for, read from where it is raised: it cannot be out of date."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import sfx

from ..ground.errors import InputError

CODE = re.compile(r"SFX-E\d{3}")
PARTS = ("toolchain", "frontends", "backends")
START = re.compile(r"(?:error\n)?(SFX-E\d{3}) (?:<[^>]*>: )?(.*)\n  -> (.*)\n?", re.DOTALL)
"""A whole message, as it is written before anything of `sfx` can be imported."""
KINDS = {
    "InputError": "the model, data or bundle cannot be used as it is",
    "UnsupportedError": "the model holds something that cannot be mapped",
    "FitError": "the Program does not fit the target",
    "MissingPartError": "a needed part is not installed here",
    "BackendError": "a backend did not finish",
}
"""Classes of errors that say more than that something is wrong."""


@dataclass(frozen=True)
class Place:
    """One place that raises a code.

    message, hint  as they are written, <names> for values; "" where they come from elsewhere
    place          file and line in the package;  about  what the code around it does
    kind           what its class of errors means, "" if several problems are collected first
    """

    code: str
    message: str
    hint: str
    place: str
    about: str
    kind: str


def explain(code: str) -> list[Place]:
    """The places that raise `code`, such as `SFX-E103` or `E103`. Raises InputError (SFX-E643)."""
    wanted = code.upper() if code.upper().startswith("SFX-") else f"SFX-{code.upper()}"
    found = [p for p in places() if p.code == wanted]
    if not found:
        raise InputError(
            "SFX-E643", f"there is no error code '{code}'", hint="codes look like SFX-E103"
        )
    return found


def places() -> Iterator[Place]:
    """Every place that raises a code, in order of the files."""
    root = Path(sfx.__file__).parent
    for part in PARTS:
        for file in sorted((root / part).resolve().rglob("*.py")):
            name = f"{part}/{file.relative_to((root / part).resolve())}"
            yield from _of_file(name, ast.parse(file.read_text(encoding="utf-8")))
    for file in (root / "__init__.py", root.parent / "sfx_loihi.py"):
        yield from _of_start(file)


def _of_start(file: Path) -> Iterator[Place]:
    """The messages of a file that runs before `sfx` can raise an error of its own."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for function in (n for n in tree.body if isinstance(n, ast.FunctionDef)):
        for text in (n for n in ast.walk(function) if isinstance(n, ast.JoinedStr)):
            found = START.fullmatch(_text(text))
            if found:
                about = _first(ast.get_docstring(function) or "")
                code, message, hint = found.groups()
                yield Place(code, message, hint, f"{file.name}:{text.lineno}", about, "")


def _of_file(name: str, tree: ast.Module) -> Iterator[Place]:
    names = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name) and CODE.fullmatch(str(node.value.value))
    }
    yield from _defaults(name, tree)
    about = ast.get_docstring(tree) or ""
    for call, function in _calls(tree, None):
        for i, argument in enumerate(call.args):
            code = _code(argument, names)
            if code:
                words = (function and ast.get_docstring(function)) or about
                yield _place(name, call, i, code, _first(words))


def _defaults(name: str, tree: ast.Module) -> Iterator[Place]:
    """Codes that are the default of a class's field."""
    for made in ast.walk(tree):
        for field in made.body if isinstance(made, ast.ClassDef) else ():
            if isinstance(field, ast.AnnAssign) and field.value is not None:
                code = _code(field.value, {})
                about = _first(ast.get_docstring(made) or "")  # type: ignore[arg-type]  # a class, by the line above
                if code:
                    yield Place(code, "", "", f"{name}:{field.lineno}", about, "")


def _first(text: str) -> str:
    return text.split("\n\n")[0].replace("\n", " ")


def _calls(
    node: ast.AST, function: ast.FunctionDef | None
) -> Iterator[tuple[ast.Call, ast.FunctionDef | None]]:
    """All calls, each with the function that it stands in."""
    if isinstance(node, ast.FunctionDef):
        function = node
    if isinstance(node, ast.Call):
        yield node, function
    for child in ast.iter_child_nodes(node):
        yield from _calls(child, function)


def _code(node: ast.expr, names: Mapping[str, object]) -> str:
    value = names.get(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)
    return value if isinstance(value, str) and CODE.fullmatch(value) else ""


def _place(name: str, call: ast.Call, i: int, code: str, about: str) -> Place:
    called = call.func
    kind = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
    rest = call.args[i + 1 :]
    if kind == "Problem":  # code, where, what, hint
        rest = rest[1:]
    given = {k.arg: k.value for k in call.keywords}
    message = rest[0] if rest else given.get("what")
    hint = rest[1] if len(rest) > 1 else given.get("hint")
    where = f"{name}:{call.lineno}"
    return Place(code, _text(message), _text(hint), where, about, KINDS.get(kind, ""))


def _text(node: ast.expr | None) -> str:
    """A text as it is written, names for values; "" if it is not written here."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(v.value) if isinstance(v, ast.Constant) else f"<{_name(v)}>" for v in node.values
        )
    return ""


def _name(node: ast.expr) -> str:
    """What a value is called: the last name in the expression that makes it."""
    names = re.findall(r"[A-Za-z_]\w*", ast.unparse(node).split(":")[0])
    return names[-1].replace("_", " ") if names else "value"
