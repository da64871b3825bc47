"""NIR of standard nodes only: the same values, and refusals of what has no such form."""

from __future__ import annotations

import io

import nir
import numpy as np
import pytest

from sfx.toolchain.compiler.passes import standard_nodes
from sfx.toolchain.compiler.standard_nir import standard
from sfx.toolchain.formats.nir.bridge import read, to_graph, write
from sfx.toolchain.ground.errors import UnsupportedError
from sfx.toolchain.ir import evaluate
from sfx.toolchain.ir import graph as g
from tests.graphs import Builder, live_case

STEPS = 4


def spike_driven() -> g.Graph:
    """A conv, max-pool, tokens, k AND v with an OR over the tokens, grouped conv, two heads."""
    rng = np.random.default_rng(0)
    b = Builder()
    b.add("input", g.Input(), shape=(2, 4, 4))
    w = rng.normal(0, 0.5, (4, 2, 3, 3))
    b.add("conv", g.Conv2d(w, rng.normal(0, 0.2, 4), padding=(1, 1)), "input", shape=(4, 4, 4))
    b.add("lif", g.LIF(0.5, 0.4), "conv", shape=(4, 4, 4))
    b.add("pool", g.MaxPool2d((2, 2), (2, 2)), "lif", shape=(4, 2, 2))
    b.add("tokens", g.Reshape(), "pool", shape=(4, 4))
    b.add("turned", g.Permute((1, 0)), "tokens", shape=(4, 4))
    b.add("column", g.Reshape(), "turned", shape=(4, 4, 1))
    b.add("k", g.Expand(), "column", shape=(4, 4, 3))
    b.add("grouped", g.Conv2d(rng.normal(0, 1, (4, 2, 1, 1)), np.zeros(4), groups=2), "pool",
          shape=(4, 2, 2))  # fmt: skip
    b.add("v_lif", g.LIF(0.5, 0.2), "grouped", shape=(4, 2, 2))
    b.add("v_row", g.Reshape(), "v_lif", shape=(4, 4, 1))
    b.add("v", g.Expand(), "v_row", shape=(4, 4, 3))
    b.add("and", g.Product(), ("k",), ("v",), shape=(4, 4, 3))
    b.add("count", g.ReduceSum((0,)), "and", shape=(4, 3))
    b.add("or", g.Threshold(0.5), "count", shape=(4, 3))
    b.add("flat", g.Reshape(), "or", shape=(12,))
    b.add("head", g.Linear(rng.normal(0, 1, (3, 12)), np.ones(3)), "flat", shape=(3,))
    b.add("output", g.Output("mean"), "head", shape=(3,))
    return g.Graph(g.topological(tuple(b.nodes.values())), timesteps=STEPS)


def test_the_same_values_in_standard_nodes() -> None:
    graph = spike_driven()
    made = standard(graph)
    assert {type(n).__module__.split(".")[0] for n in made.nodes.values()} == {"nir"}
    file = io.BytesIO()
    write(made, file)
    back = to_graph(read(io.BytesIO(file.getvalue())))
    x = np.random.default_rng(1).integers(0, 2, (5, STEPS, 2, 4, 4))
    want, got = evaluate.run(graph, x), evaluate.run(back, x)
    for name in ("lif", "v_lif", "or"):
        assert want[name].any(), name
        assert np.array_equal(got[name].reshape(want[name].shape), want[name]), name
    assert np.allclose(got["output"], want["output"], rtol=0, atol=1e-12)
    assert any(isinstance(n, nir.Flatten) for n in made.nodes.values())


def test_what_has_no_standard_form_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = live_case(True, False, 2)
    with pytest.raises(UnsupportedError) as error:
        standard(graph)
    assert {p.code for p in error.value.problems} == {"SFX-E644"}
    assert len(error.value.problems) == 2
    assert all("Product has no standard NIR node" in p.what for p in error.value.problems)
    monkeypatch.setattr(standard_nodes, "MAX_ENTRIES", 10)
    with pytest.raises(UnsupportedError, match="as a dense layer has"):
        standard(spike_driven())


def test_a_reset_that_nir_cannot_say_is_refused() -> None:
    nodes = [
        g.Node("input", g.Input(), (), (3,)),
        g.Node("lif", g.LIF(0.5, 1.0, subtract=True), (("input",),), (3,)),
        g.Node("output", g.Output("sum"), (("lif",),), (3,)),
    ]
    with pytest.raises(UnsupportedError, match="a reset by subtraction"):
        standard(g.Graph(tuple(nodes), timesteps=2))
