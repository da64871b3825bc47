"""Files that frameworks wrote of their own neurons give the frameworks' own spikes."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from sfx.toolchain.formats.nir.bridge import read
from sfx.toolchain.formats.nir.conventions import CONVENTIONS
from sfx.toolchain.formats.nir.reading import reading

ROOT = Path(__file__).resolve().parents[3]


def script() -> ModuleType:
    """benchmarks/conventions.py."""
    spec = importlib.util.spec_from_file_location(
        "conventions_bench", ROOT / "benchmarks" / "conventions.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BENCH = script()
ROWS: list[dict[str, Any]] = json.loads(BENCH.RECORD.read_text())
PAIRS = [r for r in ROWS if "failed" not in r]


def test_the_page_says_what_the_record_says() -> None:
    assert BENCH.PAGE.read_text() == BENCH.page(ROWS)


def test_no_cell_differs() -> None:
    assert not {r["name"] for r in ROWS if r.get("differ")}
    assert all(r["spikes"] > 300 for r in ROWS if "differ" in r), "a silent net proves nothing"
    used = {r["convention"].partition(":")[0] for r in ROWS}
    assert used == set(CONVENTIONS) - {"nir", "lava"}
    for name in used:  # every option of every convention, and every kind of reset
        texts = " ".join(r["convention"] for r in ROWS if "differ" in r)
        for key, values in CONVENTIONS[name].choices.items():
            assert all(f"{key}={v}" in texts for v in list(values)[1:]), (name, key)
        assert all(f"{key}=" in texts for key in CONVENTIONS[name].numbers), name


@pytest.mark.parametrize("row", PAIRS, ids=[r["name"] for r in PAIRS])
def test_a_stored_pair_still_compares_as_recorded(row: dict[str, Any]) -> None:
    kept = {k: v for k, v in row.items() if k not in ("cells", "spikes", "differ", "integers")}
    assert BENCH.compared(kept, *BENCH.stored(row["name"])) == row


@pytest.mark.parametrize("row", PAIRS, ids=[r["name"] for r in PAIRS])
def test_the_exporter_is_recognised_by_its_numbers(row: dict[str, Any]) -> None:
    source = read(io.BytesIO(BENCH.stored(row["name"])[0]))
    warnings = reading(source).warnings
    name = row["convention"].partition(":")[0]
    plain = ("spikingjelly_lif", "spikingjelly_plif")  # r = 1 and a tau of some steps: NIR's own
    if row["name"].startswith(plain) or "expleak" in row["name"] or "psu" in row["name"]:
        return
    if row["name"] == "spyx_lif_own":  # a tau for each neuron
        return
    assert len(warnings) == 1
    assert f"--nir-convention {name}" in warnings[0]


@pytest.mark.needs_torch
@pytest.mark.parametrize("framework", ["norse", "snntorch"])
def test_the_framework_itself_still_says_so(framework: str, tmp_path: Path) -> None:
    pytest.importorskip(framework)
    rows = BENCH.witnessed(framework, sys.executable, tmp_path)
    known = {r["name"]: r for r in ROWS}
    for row in rows:
        if row["versions"][framework] != known[row["name"]]["versions"][framework]:
            pytest.skip(f"{framework} {row['versions'][framework]} is not what was recorded")
        content, spikes = BENCH.pair(tmp_path, row)
        if "failed" in row:
            assert "failed" in known[row["name"]]
            continue
        np.testing.assert_array_equal(spikes, BENCH.stored(row["name"])[1])
        made = BENCH.compared(row, content, spikes)
        assert made.get("differ", 0) <= known[row["name"]].get("differ", 0)
