"""docs/semantics.md: citations point at its sections, and its examples compute what they say."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfx.backends.reference import layers
from sfx.toolchain.ir import program as p
from tests.conformance.cases import Array, Case, differences
from tests.conformance.replay import replay

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "semantics.md"
FOLDERS = (
    "toolchain",
    "frontends",
    "backends",
    "tests",
    "benchmarks",
    "examples",
    "scripts",
    "docs",
)
NUMBER = r"\d+(?:\.\d+)?"
CITED = re.compile(rf"[Ss]emantics,?(?:\s+sections?)?\s+({NUMBER}(?:(?:,| and)\s+{NUMBER})*)")
DEFAULTS: dict[str, dict[str, Any]] = {
    "LIF": {"bias_mant": 0, "bias_exp": 0},
    "LIFReset": {"bias_mant": 0, "bias_exp": 0},
    "GradedVec": {"vth": 0},
    "GradedReluVec": {"vth": 0},
    "ProdNeuron": {"exp": 0, "vth": 0},
    "Dense": {"exp": 0, "graded": False, "delay": 1},
    "Sparse": {"exp": 0, "graded": False, "delay": 1},
    "Conv": {"exp": 0, "graded": False, "padding": (0, 0), "stride": (1, 1), "dilation": (1, 1)}
    | {"groups": 1},
}
SHOWN = ("LIF", "LIFReset", "GradedVec", "GradedReluVec", "ProdNeuron", "Dense", "Sparse", "Conv")


@dataclass(frozen=True)
class Example:
    """One block of the page: a rule, its constants, and series of integers [steps, neurons]."""

    line: int
    kind: str
    constants: dict[str, Any]
    series: dict[str, Array]


def examples() -> list[Example]:
    """Every block marked `example`, in the order of the page."""
    text = PAGE.read_text(encoding="utf-8")
    found = []
    for block in re.finditer(r"^```example\n(.*?)^```$", text, re.M | re.S):
        head, *rows = block[1].splitlines()
        kind, _, constants = head.partition(":")
        call = ast.parse(f"f({constants})", mode="eval").body
        assert isinstance(call, ast.Call)
        given = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        series = {row.split()[0]: _series(row.split(maxsplit=1)[1]) for row in rows}
        line = text[: block.start()].count("\n") + 1
        found.append(Example(line, kind, given, series))
    return found


def _series(text: str) -> Array:
    """`1 2 3`: one neuron at three steps; `1 0 | 0 1`: two neurons at two steps."""
    steps = text.split("|") if "|" in text else text.split()
    return np.array([[int(n) for n in step.split()] for step in steps], dtype=np.int64)


def case(example: Example) -> Case:
    """The example as a conformance case. What a connection delivers comes `delay` steps later."""
    constants = DEFAULTS[example.kind] | example.constants
    inputs = {k: v for k, v in example.series.items() if k.startswith(("a_in", "s_in"))}
    expected = {k: v for k, v in example.series.items() if k not in inputs}
    if "s_in" in inputs:
        inputs = {"s_in": np.pad(inputs["s_in"], ((0, 1), (0, 0)))}
        expected = {"s": np.pad(expected["s"], ((1, 0), (0, 0)))}
    return Case(example.kind, constants, inputs, expected)


def cases(kind: str) -> list[Case]:
    """The examples of one kind."""
    return [case(e) for e in examples() if e.kind == kind]


@pytest.mark.parametrize("example", examples(), ids=lambda e: f"line {e.line}, {e.kind}")
def test_an_example_of_the_page_computes_what_it_says(example: Example) -> None:
    if example.kind == "Accumulator":
        t = example.constants["T"]
        got = accumulated(example.series["new"], t, example.constants.get("g", t))
        assert {k: got[k].tolist() for k in got} == {
            k: v.tolist() for k, v in example.series.items() if k != "new"
        }
        return
    assert case(example).expected, "an example says what comes out"
    assert differences(case(example), replay(case(example))) == []


@pytest.mark.needs_lava
@pytest.mark.parametrize("kind", SHOWN)
def test_lava_computes_the_examples_too(kind: str) -> None:
    from tests.conformance.lava import answers

    shown = cases(kind)
    for one, answer in zip(shown, answers(shown), strict=True):
        assert differences(one, answer) == []


def test_every_rule_has_an_example() -> None:
    assert {e.kind for e in examples()} == {*SHOWN, "Accumulator"}


def accumulated(new: Array, timesteps: int, group: int) -> dict[str, Array]:
    """Memory M, clear C and the total H of section 6.2, from `new` [K*T, 1]."""
    same = p.Structured((("i", 1),), (("i", 1),), 1)
    minus = p.Structured((("i", 1),), (("i", 1),), -1)
    wide = (-(1 << 23) + 1, (1 << 23) - 1)
    populations = (
        p.Population("x", (1,), p.Input(16), *wide),
        p.Population("clock", (1,), p.Clock(group % timesteps)),
        p.Population("M", (1,), p.Graded(), *wide),
        p.Population("C", (1,), p.Product(), *wide),
        p.Population("H", (1,), p.Graded(), *wide),
    )
    projections = (
        p.Projection("new", "x", "M", same),
        p.Projection("kept", "M", "M", same, lag=1),
        p.Projection("cleared", "C", "M", minus, lag=1),
        p.Projection("new, cleared", "x", "C", same, "a_in1"),
        p.Projection("kept, cleared", "M", "C", same, "a_in1", lag=1),
        p.Projection("cleared before", "C", "C", minus, "a_in1", lag=1),
        p.Projection("tick", "clock", "C", same, "a_in2"),
        *(p.Projection(f"total {i}", "C", "H", same, lag=-i) for i in range(group)),
    )
    program = p.Program(populations, projections, timesteps, p.Readout("H", 1.0, (0,)))
    sent = layers.run(program, new.reshape(-1, timesteps, 1))
    return {name: sent[name].reshape(-1, 1) for name in "MCH"}


# --- citations ------------------------------------------------------------------------------


def sections() -> set[str]:
    """Numbers of the page's sections."""
    return set(re.findall(rf"^##+ ({NUMBER})\.? ", PAGE.read_text(encoding="utf-8"), re.M))


def cited(text: str) -> Iterator[str]:
    """Sections that a text cites: `semantics 2.1`, `semantics, section 2`, `semantics 2.1, 5`."""
    for found in CITED.finditer(text):
        yield from re.findall(NUMBER, found[1])


def sources() -> Iterator[Path]:
    """Code and pages of the project, but for the page itself."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".md", ".toml") and path not in (PAGE, Path(__file__)):
                yield path


def test_every_citation_points_at_a_section() -> None:
    known = sections()
    found = [
        (path.relative_to(ROOT).as_posix(), number)
        for path in sources()
        for number in cited(path.read_text(encoding="utf-8"))
    ]
    assert [f"{path} cites {n}" for path, n in found if n not in known] == []
    assert len(found) > 30, "the citations of today are found"


def test_nothing_cites_what_is_not_in_the_repository() -> None:
    private = re.compile(r"design(?:\.md)? section|design, section|loihi_semantics|design\.md")
    found = [str(f.relative_to(ROOT)) for f in sources() if private.search(f.read_text("utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("integer semantics 2.1: u", ["2.1"]),
        ("(semantics section 7)", ["7"]),
        ("(integer semantics 2.1, 5)", ["2.1", "5"]),
        ("(integer semantics, section 3)", ["3"]),
        ("reference: sections 2.1 of the integer semantics", []),
        ("the semantics of 2 things", []),
    ],
)
def test_citations_are_found(text: str, numbers: list[str]) -> None:
    assert list(cited(text)) == numbers
