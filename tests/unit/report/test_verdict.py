"""The equivalence record in the report: whose it is, and that it is a verdict at all."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sfx.toolchain.ground.errors import InputError
from sfx.toolchain.ir import program as p
from sfx.toolchain.ir.digest import digest
from sfx.toolchain.report import render
from sfx.toolchain.report.collect import collect
from sfx.toolchain.report.verdict import read_verdict
from sfx.toolchain.verify.compare import compare
from tests.unit.report.samples import MANIFEST, SAMPLES, target, toy
from tests.unit.report.test_report import Page, text_of


@pytest.fixture
def verdict() -> dict[str, Any]:
    placed, spikes, _ = toy()
    record = SimpleNamespace(spikes=spikes, u={}, v={})
    found = compare(
        placed.program,
        record,
        record,
        against="lava",
        mode="full",
        states=False,
        samples=SAMPLES,
    )
    return json.loads(json.dumps(found.as_dict()))


def written(folder: Path, value: object) -> Path:
    path = folder / "verdict.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_page_and_terminal_show_the_record(tmp_path: Path, verdict: dict[str, Any]) -> None:
    placed, _, counts = toy()
    found = read_verdict(written(tmp_path, verdict), placed.program)
    v = collect(placed, counts, None, MANIFEST, target(), found)
    page = " ".join(Page(render.html(v, placed)).words)
    assert "EQUAL: reference and lava, mode full" in page
    assert f"{verdict['compared']:,} values compared" in page
    assert f"equal to lava: {verdict['compared']:,} values" in text_of(render.summary(v))


def test_a_failed_verdict_is_shown_as_failed(tmp_path: Path, verdict: dict[str, Any]) -> None:
    placed, _, counts = toy()
    first = {"population": "stem", "step": 3, "neuron": 7, "expected": 1, "got": 0}
    wrong = verdict | {"equal": False, "mismatches": 2, "first_mismatch": first}
    v = collect(placed, counts, None, MANIFEST, target(), wrong)
    page = " ".join(Page(render.html(v, placed)).words)
    assert "NOT EQUAL: reference and lava" in page
    assert "First difference: stem, step 3, neuron 7" in page
    assert "NOT EQUAL to lava" in text_of(render.summary(v))


def test_without_one_the_page_says_how_to_get_one() -> None:
    placed, _, counts = toy()
    v = collect(placed, counts, None, MANIFEST, target())
    assert v["equivalence"] is None
    assert "sfx verify MODEL" in " ".join(Page(render.html(v, placed)).words)


def test_a_verdict_of_other_integers_is_refused(tmp_path: Path, verdict: dict[str, Any]) -> None:
    """The same populations, one threshold higher: another Program, by name of the code."""
    program = toy()[0].program
    q = next(q for q in program if isinstance(q.neuron, p.LIF))
    higher = replace(q, neuron=replace(q.neuron, vth=q.neuron.vth + 1))
    other = tuple(higher if o is q else o for o in program)
    path = written(tmp_path, verdict)
    assert read_verdict(path, program)["program"] == digest(program)
    with pytest.raises(InputError, match="verdict of another Program") as error:
        read_verdict(path, replace(program, populations=other))
    assert error.value.code == "SFX-E709"


def test_what_is_not_a_verdict_of_this_model_is_refused(
    tmp_path: Path, verdict: dict[str, Any]
) -> None:
    program = toy()[0].program
    other = json.loads(json.dumps(verdict))
    other["per_population"][0]["population"] = "elsewhere"
    cases = {
        "is not JSON": "{",
        "is not a verdict": "[]",
        "no valid equal": verdict | {"equal": "yes"},
        "of another model: elsewhere": other,
        "contradicts itself": verdict | {"mismatches": 4},
        "an older version of sfx": {k: v for k, v in verdict.items() if k != "program"},
        "with another Program": verdict | {"witness": "0" * 64},
    }
    for what, value in cases.items():
        with pytest.raises(InputError, match=what) as error:
            read_verdict(written(tmp_path, value), program)
        assert error.value.code == "SFX-E218"
    with pytest.raises(InputError, match="cannot be read"):
        read_verdict(tmp_path / "none.json", program)
