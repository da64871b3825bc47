"""Two reports side by side."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from sfx.toolchain.report.compared import compared, comparison


def values(cores: int, joules: float | None) -> dict[str, Any]:
    """As much of a report as the comparison reads."""
    energy = None if joules is None else {"dynamic_j": joules, "total_j": 2 * joules}
    return {
        "accuracy": None,
        "neurons": 100,
        "synapses": 0,
        "cores": cores,
        "chips": 1,
        "timesteps": 4,
        "events": None,
        "energy": energy,
        "latency": None,
        "target": {"name": "loihi2"},
        "verdict": f"fits loihi2: {cores} of 120 cores, 1 chip",
    }


def text(a: dict[str, Any], b: dict[str, Any]) -> str:
    """What a person sees."""
    console = Console(file=io.StringIO(), width=100)
    console.print(compared(a, b, ("a.sfx", "b.sfx")))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_only_what_both_have_is_compared() -> None:
    rows = {r["figure"]: r for r in comparison(values(10, 2e-6), values(5, 1e-6))}
    assert rows["cores"]["ratio"] == 0.5
    assert rows["dynamic energy"]["ratio"] == 0.5
    assert rows["synapses"]["ratio"] is None  # nothing to divide by
    assert not {"accuracy", "latency", "messages"} & set(rows)
    assert "dynamic energy" not in {
        r["figure"] for r in comparison(values(10, 2e-6), values(5, None))
    }


def test_the_table_says_what_is_missing() -> None:
    assert "x 0.5" in text(values(10, 2e-6), values(5, 1e-6))
    assert "need events" in text(values(10, 2e-6), values(5, None))
    assert "5 of 120 cores" in text(values(10, None), values(5, None))
