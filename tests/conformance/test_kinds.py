"""Kinds of our own on every backend that runs them, against values worked out by hand."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfx.backends.base import align
from sfx.backends.fast.backend import FastBackend
from sfx.backends.lava import connections as lava_connections
from sfx.backends.lava import neurons as lava_neurons
from sfx.backends.lava.backend import LavaBackend
from sfx.backends.onnx.backend import OnnxBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.ground.errors import UnsupportedError
from sfx.toolchain.ir.check_program import check_program
from sfx.toolchain.ir.connection_kinds import CONNECTIONS
from sfx.toolchain.ir.kinds import Refused
from sfx.toolchain.ir.neurons import NEURONS
from tests.conformance.kind_case import KindCase, relayed

FOLDER = Path(__file__).parent / "kinds"
IN_LAVA = {
    "LIF", "Graded", "GradedReLU", "Product", "Dense", "Sparse", "Conv2d",
    "Structured",  # a sparse matrix there
    "Input", "Clock",  # what the tests of whole Programs send
}  # fmt: skip
"""Kinds whose cases are Intel's own answers."""


def own() -> Iterator[tuple[str, KindCase]]:
    from sfx.toolchain.ir.program import Dense

    yield (
        "a case",
        relayed(Dense(np.array([[2, -4], [6, 8]])), [[1, 0], [1, 1]], [[2, 6], [-2, 14]]),
    )
    for file in sorted(FOLDER.glob("[!_]*.py")):
        module = import_module(f"tests.conformance.kinds.{file.stem}")
        for i, case in enumerate(module.CASES):
            yield f"{file.stem} {i}", case


CASES = dict(own())
PARTS = {"onnx": "onnxruntime", "lava": "lava"}
BACKENDS: dict[str, Any] = {
    "reference": ReferenceBackend,
    "fast": FastBackend,
    "onnx": OnnxBackend,
    "lava": LavaBackend,
}


def refused_by_lava(case: KindCase) -> bool:
    entries = (
        lava_neurons.RULES.entry(type(case.neuron)),
        lava_connections.RULES.entry(type(case.connection)),
    )
    return any(isinstance(entry, Refused) for entry in entries)


@pytest.mark.parametrize("backend", [*BACKENDS])
@pytest.mark.parametrize("name", CASES)
def test_a_backend_sends_what_is_expected(name: str, backend: str) -> None:
    case = CASES[name]
    program = case.program
    check_program(program, balanced=True)
    assert case.expected.any(), "silence shows nothing"
    if backend in PARTS and importlib.util.find_spec(PARTS[backend]) is None:
        pytest.skip(f"needs {PARTS[backend]}")
    run = BACKENDS[backend]()
    if backend == "lava" and refused_by_lava(case):
        with pytest.raises(UnsupportedError, match="Lava does not run"):
            run.stream(program, case.x[None])
        return
    if backend == "fast":  # it works in model time
        got = run.layers(program, case.x[None])["cell"][0]
    else:
        sent = run.stream(program, case.x[None]).spikes["cell"]
        got = align(sent, program["cell"].phase, 1, program.timesteps)[0]
    assert np.array_equal(got, case.expected)
    assert np.array_equal(run.run(program, case.x[None]).sums[0], case.expected.sum(axis=0))


def test_every_kind_has_a_case() -> None:
    files = {f.stem for f in FOLDER.glob("[!_]*.py")}
    for kind in (*NEURONS, *CONNECTIONS):
        stem = kind.__module__.rpartition(".")[2]
        assert (kind.__name__ in IN_LAVA) != (stem in files), f"one case file for {kind.__name__}"
