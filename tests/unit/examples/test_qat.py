"""The committed fine-tuned models: torch equals the Program, and what the figures counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytestmark = pytest.mark.needs_torch

import sfx  # noqa: E402
from tests.unit.examples.test_spikeformer_data import example  # noqa: E402

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FILES = sorted(EXAMPLES.glob("*/qat*.safetensors"))
DIGITS = [f for f in FILES if f.parent.name == "spikeformer"]


def figures(file: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(file.with_suffix(".json").read_text())
    return found


def test_there_are_fine_tuned_models() -> None:
    assert DIGITS
    assert all(f.stat().st_size < 5_000_000 for f in FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}-{f.stem}")
def test_the_figures_count_every_test_sample(file: Path) -> None:
    found = figures(file)
    assert found["compared_samples"] == found["samples"]
    assert found["mismatches"] == 0
    assert found["silent"] == []


@pytest.mark.parametrize("file", DIGITS, ids=lambda f: f.stem)
def test_torch_spikes_are_program_spikes(file: Path) -> None:
    recording = example("data").load("test")
    model = sfx.qat.load(file)
    found = sfx.qat.verify(model, recording.x[:3])
    assert found.equal
    assert found.silent == ()
    assert found.compared * 120 == figures(file)["compared_values"]
