"""Pages that are written by hand say what the committed records say."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text()
VERIFICATION = (ROOT / "docs" / "verification.md").read_text()
README = (ROOT / "README.md").read_text()


def record(name: str) -> Any:
    return json.loads((ROOT / "benchmarks" / name).read_text())


def test_neuron_steps_compared() -> None:
    rows = record("equivalence.json")
    for witness in ("lava", "onnx"):
        own = [r for r in rows if r["against"] == witness]
        steps, values = (sum(r[k] for r in own) for k in ("neuron_steps", "values"))
        assert f"{steps:,} ({values:,} values)" in RELIABILITY
    assert not [r for r in rows if r["mismatches"] or r["silent"]]


def test_the_whole_of_a_published_net() -> None:
    (r,) = (r for r in record("layerwise.json") if r["fraction"] == 1)
    assert not r["mismatches"]
    assert not r["silent"]
    shown = (
        f"| {r['neurons']:,} | {r['covered']:,} | {r['steps']} | s | {r['compared']:,} "
        f"| {r['lava_s']}; compile {r['compile_s']}, reference {r['reference_s']} |"
    )
    assert shown in VERIFICATION
    minutes = (r["lava_s"] + r["compile_s"] + r["reference_s"]) / 60
    assert f"{minutes:.0f} minutes in all" in VERIFICATION


def test_kills() -> None:
    kills = [k for k in record("kills.json") if k["victim"] != "ended before"]
    assert not [k for k in kills if k["left"]]
    victims = Counter(k["victim"] for k in kills)
    assert (
        f"{len(kills)} kills ({victims['command']} of the command, {victims['worker']} of the "
        f"worker, {victims['process of Lava']} of a process of Lava"
    ) in RELIABILITY


def test_damaged_files() -> None:
    rows = record("fuzz.json")
    assert not [r for r in rows if r["failure"]]
    whole = sum(r["files"] >= 100_000 for r in rows)
    total = sum(r["files"] for r in rows)
    assert f"{whole} of {len(rows)} readers, {total:,} files in all" in RELIABILITY
    for r in rows:
        line = f"| {r['reader']} | {r['files']:,} | {r['read']:,} |"
        assert (line in RELIABILITY) == bool(r["files"])


def test_accuracy_in_the_readme() -> None:
    mnist = record("accuracy.json")["mnist"]
    assert mnist["float"]["samples"] == 10_000
    shown = {"99.05": "float", "99.18": "ptq-8", "99.01": "ptq-4", "98.49": "ptq-2"}
    for text, row in {**shown, "10.28": "naive-2"}.items():
        assert f"{mnist[row]['right'] / 100:.2f}" == text
        assert f"{text} %" in README
    folds = record("accuracy.json")["folds"]
    four, real = (f"{folds[row]['right']:,}" for row in ("ptq-4", "float"))
    said = f"of the {folds['float']['samples']:,} digits, in five folds, 4 bits are right on"
    assert f"{said} {four} and float on {real}" in " ".join(README.split())
