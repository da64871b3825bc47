"""Neurons that fire up to n times in a step, compiled from the framework's own NIR file: integer
spikes beside those that the framework sent (`benchmarks/conventions.zip`)."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfx.backends.base import align
from sfx.backends.fast.backend import FastBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.formats.nir.bridge import read, to_graph
from sfx.toolchain.formats.nir.conventions import NirOptions
from sfx.toolchain.ir import program as p
from sfx.toolchain.targets import load as load_target

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def row(framework: str, option: str) -> dict[str, Any]:
    rows = json.loads((BENCHMARKS / "conventions.json").read_text())
    (found,) = (r for r in rows if r["framework"] == framework and r["option"] == option)
    return dict(found)


def pair(name: str) -> tuple[bytes, np.ndarray]:
    """The file that the framework wrote, and the spikes that it sent [K, T, n]."""
    with zipfile.ZipFile(BENCHMARKS / "conventions.zip") as pairs:
        content, spikes = (pairs.read(f"{name}.{kind}") for kind in ("nir", "npz"))
    with np.load(io.BytesIO(spikes)) as arrays:
        return content, arrays["spikes"]


def events() -> np.ndarray:
    import sys

    sys.path.insert(0, str(BENCHMARKS / "witness_nir"))
    try:
        from common import events
    finally:
        sys.path.pop(0)
    made: np.ndarray = events()
    return made.astype(np.int64)


@pytest.mark.parametrize(
    ("framework", "option", "most", "spikes", "differ"),
    [
        ("sinabs", "spike_fn MaxSpike(2)", 2, 5_075, 4),
        ("rockpool", "max_spikes_per_dt 3", 3, 8_259, 1),  # with a synaptic current
    ],
)
def test_integers_send_what_the_framework_sends(
    framework: str, option: str, most: int, spikes: int, differ: int
) -> None:
    """exp(-1/tau) has no exact form in 12 bits, so a few of 3,000 numbers may differ."""
    given, x = row(framework, option), events()
    content, want = pair(given["name"])
    options = NirOptions(given["convention"], reset=given["reset"] or None)
    graph = to_graph(read(io.BytesIO(content)), timesteps=x.shape[1], options=options)
    compiled = compile_graph(graph, load_target("loihi"), x)
    program = compiled.placed.program
    last = [q for q in program if isinstance(q.neuron, p.MultiLevel) and q.high == most][-1]
    quick = FastBackend().layers(program, x)[last.name]
    stream = ReferenceBackend().stream(program, x[:4]).spikes
    assert np.array_equal(align(stream[last.name], last.phase, 4, x.shape[1]), quick[:4])
    want = want.reshape(quick.shape).astype(np.int64)
    assert (want.size, int(want.sum()), int(want.max())) == (3_000, spikes, most)
    assert int(np.count_nonzero(quick != want)) <= differ
