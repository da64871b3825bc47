"""The tables that Intel's compiler printed: objective `intel` gives their figures, row by row."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"
STORE = json.loads((BENCHMARKS / "partition.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def partition() -> ModuleType:
    spec = importlib.util.spec_from_file_location("partition", BENCHMARKS / "partition.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["partition"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["PilotNet LIF", "PilotNet SDNN", "Oxford", "MNIST", "YOLO KP"])
def test_every_figure_of_a_network_is_that_of_the_log(partition: ModuleType, name: str) -> None:
    """Predicted anew, not read: cores, axons in, neurons, synapse words, axon map of each layer."""
    rows: list[dict[str, Any]] = [r for r in STORE["compared"] if r["net"] == name]
    (net,) = (n for n in partition.NETS if n.name == name)
    found = partition.predicted(net)
    assert len(rows) == len(found) == len(net.layers)
    differ = []
    for row, usage, layer in zip(rows, found, net.layers, strict=True):
        logged = {c: row[c][1] for c in partition.RESOURCES}
        text = {c: str(v) for c, v in logged.items()} | {"unit": row["unit"]}
        ours = {
            c: partition._as_logged(usage, field, c, text, layer)
            for c, field in partition.RESOURCES.items()
        }
        assert usage.cores == row["cores"][1]
        differ += [
            (row["layer"], c, ours[c], v)
            for c, v in logged.items()
            if v is not None and abs(ours[c] - v) >= 0.005
        ]
    # the image enters as events here: 2 words, which a bias does not take
    assert differ == ([(0, "synapses", 2.0, 0.0)] if name == "PilotNet LIF" else [])
