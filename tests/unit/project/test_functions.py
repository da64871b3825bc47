"""How large a function may be: ten parameters, and in the outer layers forty lines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MOST_PARAMETERS = 10
MOST_LINES = 40
SHORT = ("toolchain/app", "toolchain/formats", "toolchain/compiler/compile.py")
"""Where functions have at most MOST_LINES lines besides signature and docstring."""
COMPILED = {"compiled", "kept", "njit", "inlined"}
"""Decorators of what becomes machine code, which takes arrays and numbers one by one."""
COMMAND = "a command: typer makes an option of each parameter"
PUBLIC = "public: users pass these keywords by name, one by one, and they are documented so"
EXCEPTIONS = {
    "toolchain/app/api/compiling.py compile": PUBLIC,
    "toolchain/app/api/judging.py judge": PUBLIC,
    "toolchain/app/api/running.py verify": PUBLIC,
    "toolchain/app/api/tuning.py prepare": PUBLIC,
    "toolchain/app/commands/check.py check": COMMAND,
    "toolchain/app/commands/compile.py compile": COMMAND,
    "toolchain/app/commands/data.py convert": COMMAND,
    "toolchain/app/commands/quantize.py quantize": COMMAND,
    "toolchain/app/commands/run.py run": COMMAND,
    "toolchain/app/commands/verify.py verify": COMMAND,
}
"""Functions of more than MOST_PARAMETERS parameters, and why each has to have them."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions() -> Iterator[tuple[str, Function]]:
    """(file, function) of the three packages."""
    for package in ("toolchain", "frontends", "backends"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, Function):
                    yield str(path.relative_to(ROOT)), node


def parameters(function: Function) -> int:
    given = function.args
    return len(given.posonlyargs) + len(given.args) + len(given.kwonlyargs)


def lines(function: Function) -> int:
    """Those of the body, without the docstring."""
    body = function.body
    if ast.get_docstring(function, clean=False) is not None:
        body = body[1:]
    return 0 if not body else (body[-1].end_lineno or 0) - body[0].lineno + 1


def is_kernel(function: Function) -> bool:
    names = {
        part
        for d in function.decorator_list
        for n in ast.walk(d)
        for part in (getattr(n, "id", ""), getattr(n, "attr", ""))
    }
    return bool(names & COMPILED)


def test_no_function_has_more_than_ten_parameters_but_those_that_say_why() -> None:
    found = {
        f"{file} {f.name}"
        for file, f in functions()
        if parameters(f) > MOST_PARAMETERS and not is_kernel(f)
    }
    assert found == set(EXCEPTIONS)


def test_the_outer_layers_consist_of_short_functions() -> None:
    found = {
        f"{file} {f.name}: {lines(f)}"
        for file, f in functions()
        if file.startswith(SHORT) and lines(f) > MOST_LINES
    }
    assert not found


def test_the_counts_are_right() -> None:
    (function,) = ast.parse(
        'def f(a, /, b, *args, c=1, **rest):\n    """Words.\n\n    More.\n    """\n    a\n\n    b'
    ).body
    assert isinstance(function, ast.FunctionDef)
    assert parameters(function) == 3
    assert lines(function) == 3
