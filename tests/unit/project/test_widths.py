"""Loihi's widths are numbers of `ground/arithmetic.py` and of the targets, nowhere else.

Found in the syntax: the numbers that such widths make (2^23, 4095, 254 ...), and shifts that make
them. What has one of these values and is no width of a target is listed with what it is.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("toolchain/compiler", "toolchain/ir", "toolchain/qat", "toolchain/verify", "backends")
NUMBERS = {4095, 4096, 8191, 8192, 131071, 131072, 8388607, 8388608, 16777216, 254, 255, 256}
SHIFTS = {12, 13, 17, 22, 23, 24}
"""Left shifts of 1, powers of 2 and right shifts by them."""
ELSEWHERE = {
    "toolchain/compiler/passes/standard_nodes.py": "1 << 24: entries of a matrix; 256: rows of it",
    "toolchain/ir/evaluate.py": "256 MB of memory",
    "toolchain/qat/straight.py": "2^24: whole numbers that float32 holds",
    "backends/fast/run/device_sums.py": "2^24: whole numbers that float32 holds",
    "backends/fast/neurons/lif.py": "2^24: << 6 it is 2^30, which 32 bits hold with a bias",
    "backends/fast/plan/prepared.py": "2^24: a bias that 32 bits hold beside u and v",
    "backends/fast/kernels/neurons.py": "256: neurons of a block",
    "backends/fast/run/tallies.py": "255: lanes that a byte counts",
    "backends/lava/limits.py": "4096 bytes of a page",
    "backends/onnx/backend.py": "256 MB of memory",
}
"""File -> what its numbers are; `ground`, `targets` and formats of others are not looked at."""


def suspects(text: str) -> Iterator[str]:
    """Lines of a source with a number that could be a width."""
    for node in ast.walk(ast.parse(text)):
        found = isinstance(node, ast.Constant) and type(node.value) is int and node.value in NUMBERS
        if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant):
            one = isinstance(node.left, ast.Constant) and node.left.value in (1, 2)
            shift = isinstance(node.op, ast.LShift | ast.Pow) and one
            found = found or (
                (shift or isinstance(node.op, ast.RShift)) and node.right.value in SHIFTS
            )
        if found:
            assert isinstance(node, ast.expr)
            yield f"{node.lineno}: {text.splitlines()[node.lineno - 1]}"


def test_no_width_of_a_target_is_a_literal() -> None:
    files = sorted(f for package in PACKAGES for f in (ROOT / package).rglob("*.py"))
    found = {str(f.relative_to(ROOT)): list(suspects(f.read_text(encoding="utf-8"))) for f in files}
    assert len(files) > 100
    lines = [f"{n}:{x}" for n, some in found.items() if n not in ELSEWHERE for x in some]
    assert not lines, "\n".join(lines)
    assert {name for name, some in found.items() if some} == set(ELSEWHERE), "nothing is left there"


@pytest.mark.parametrize(
    "line",
    [
        "LIMIT = 1 << 17",
        "TOP = 2**23 - 1",
        "du = 4095",
        "x = x * factor >> 12",
        "grid = 254 if mixed else 255",
    ],
)
def test_the_search_finds_what_it_looks_for(line: str) -> None:
    """Each way in which widths stood in the code before."""
    assert list(suspects(line)) == [f"1: {line}"] * len(list(suspects(line))) != []
    assert not list(suspects("LIMIT = 1 << 31")), "a container of 32 bits is no width"
