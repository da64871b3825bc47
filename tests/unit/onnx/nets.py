"""Compiled networks and the comparison that the tests of the onnx backend share."""

from __future__ import annotations

from functools import cache

import numpy as np

from sfx.backends.onnx.backend import OnnxBackend
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.ir.graph import Graph
from sfx.toolchain.ir.placed import PlacedProgram
from sfx.toolchain.ir.program import Program
from sfx.toolchain.targets import load as load_target
from sfx.toolchain.verify.compare import Verdict, compare
from tests.graphs import events, live, live_case, membrane_residual, pooled_currents

SAMPLES = 3


def _fed(graph: Graph) -> tuple[Graph, np.ndarray]:
    x = events(graph, 8, rate=0.4)
    return live(graph, x), x


NETS = {
    "causal": lambda: live_case(True, True, 1),
    "causal, real weights, two blocks": lambda: live_case(False, True, 2),
    "not causal": lambda: live_case(True, False, 1),
    "not causal, real weights": lambda: live_case(False, False, 1),
    "membrane residual": lambda: _fed(membrane_residual(dyadic=False, seed=1)),
    "max-pool of currents": lambda: _fed(pooled_currents(dyadic=False)),
}


@cache
def compiled(net: str) -> tuple[PlacedProgram, np.ndarray]:
    """The placed Program of a live network and samples [SAMPLES, T, *shape]."""
    graph, x = NETS[net]()
    return compile_graph(graph, load_target("loihi"), x).placed, x[:SAMPLES]


def verdict(expected: Program, got: Program, x: np.ndarray, *, onnx: bool = True) -> Verdict:
    """The reference on `expected` against ONNX Runtime, or the reference, on `got`."""
    backend = OnnxBackend() if onnx else ReferenceBackend()
    return compare(
        expected,
        ReferenceBackend().stream(expected, x, states=True),
        backend.stream(got, x, states=True),
        against=backend.name,
        mode="full",
        states=True,
        samples=len(x),
    )
