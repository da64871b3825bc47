"""Layers of ordinary spiking nets, from NIR: strides, dilation, groups, pools, Conv1d, counts."""

from __future__ import annotations

from itertools import pairwise

import nir
import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import compile_graph
from sfx.toolchain.formats.nir import ext
from sfx.toolchain.formats.nir.bridge import to_graph
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.evaluate import run
from sfx.toolchain.targets import load

T = 4
RNG = np.random.default_rng(4)


def quarters(*shape: int) -> np.ndarray:
    return RNG.integers(-3, 6, shape) / 4


def two() -> tuple[np.ndarray, np.ndarray]:
    return np.array([2, 2]), np.array([0, 0])


def lif(*shape: int) -> nir.NIRNode:
    return ext.lif_node(shape, g.LIF(decay=0.5, threshold=0.25), 1e-3)


PLANES = {
    "input": nir.Input(np.array([2, 8, 8])),
    "grouped": ext.GroupedConv2d(
        (2, 8, 8), quarters(4, 1, 3, 3), (2, 2), (1, 1), (1, 1), 2, quarters(4)
    ),
    "a": lif(4, 4, 4),
    "mean": nir.AvgPool2d(*(two()[0], *two())),
    "b": lif(4, 2, 2),
    "dilated": nir.Conv2d(None, quarters(3, 4, 2, 2), 1, 1, 2, 1, quarters(3)),
    "c": lif(3, 2, 2),
    "sum": nir.SumPool2d(*(two()[0], *two())),
    "flat": nir.Flatten({"input": np.array([3, 1, 1])}, start_dim=0),
    "fc": nir.Affine(quarters(3, 3), quarters(3) + 0.5),
    "d": lif(3),
    "output": nir.Output(np.array([3])),
}
LINE = {
    "input": nir.Input(np.array([2, 9])),
    "conv": nir.Conv1d(9, quarters(3, 2, 3), 2, 1, 1, 1, quarters(3)),
    "a": lif(3, 5),
    "depthwise": nir.Conv1d(5, quarters(3, 1, 2), 1, 0, 2, 3, quarters(3) + 0.5),
    "b": ext.lif_node((3, 3), g.LIF(decay=0.0, threshold=1.0, subtract=True), 1e-3),
    "output": nir.Output(np.array([3, 3])),
}


def graph_of(nodes: dict[str, nir.NIRNode]) -> g.Graph:
    names = list(nodes)
    source = nir.NIRGraph(nodes, list(pairwise(names)), type_check=False)
    return to_graph(source, timesteps=T)


@pytest.mark.parametrize("static", [False, True], ids=["counts", "constant image"])
@pytest.mark.parametrize("nodes", [PLANES, LINE], ids=["planes", "line"])
def test_layers_are_lossless(nodes: dict[str, nir.NIRNode], static: bool) -> None:
    graph = graph_of(nodes)
    shape = graph.of_type(g.Input)[0].shape
    x = np.random.default_rng(2).integers(0, 4, (6, T, *shape))
    if static:
        x = np.repeat(x[:, :1], T, axis=1)  # the same image, a constant current
    program = compile_graph(graph, load("loihi"), x).placed.program
    expected, got = run(graph, x), ReferenceBackend().layers(program, x)
    for node in graph.of_type(g.LIF, g.IF):
        assert expected[node.name].any(), node.name
        assert not expected[node.name].all(), node.name
        np.testing.assert_array_equal(got[node.name], expected[node.name])


@pytest.mark.parametrize("decay", [1 / 1.5, 1 / (1 + np.exp(-0.3))], ids=["tau 1.5", "plif"])
def test_what_a_decay_of_12_bits_costs_is_in_the_record(decay: float) -> None:
    rng = np.random.default_rng(1)
    nodes = (
        g.Node("input", g.Input(), (), (12,)),
        g.Node("fc", g.Linear(rng.normal(size=(20, 12)), np.full(20, 0.1)), (("input",),), (20,)),
        g.Node("lif", g.LIF(float(decay), 1.0), (("fc",),), (20,)),
        g.Node("output", g.Output("sum"), (("lif",),), (20,)),
    )
    x = (rng.random((20, 16, 12)) < 0.4).astype(np.int64)
    graph = g.Graph(nodes, 16)
    compiled = compile_graph(graph, load("loihi"), x)
    record = next(r for r in compiled.records if r.population == "lif")
    assert not record.exact
    assert record.decay_error == abs(round(decay * 4096) / 4096 - decay)
    assert 0 < record.decay_error <= 1 / 8192
    got = ReferenceBackend().layers(compiled.placed.program, x)["lif"]
    expected = run(graph, x)["lif"]
    assert expected.any()
    assert record.cumulative == np.mean(got == expected)
    assert record.wrong_spikes == np.count_nonzero(got != expected) / expected.sum()
