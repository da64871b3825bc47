"""A weight of 0 is no synapse: neither compensated rounding nor the search makes one of it."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ir import graph as g

STEPS, INPUTS, HIDDEN = 8, 30, 16
CARRIERS = ("fc", "back")


def pruned(kind: str) -> g.Graph:
    """Two thirds of the weights are 0: of a hard or soft reset, of a loop, of graded currents."""
    rng = np.random.default_rng(3)
    first = rng.normal(0.15, 0.5, (HIDDEN, INPUTS)) * (rng.random((HIDDEN, INPUTS)) < 1 / 3)
    own = np.diag(rng.normal(-0.3, 0.1, HIDDEN))
    loop = kind == "loop"
    lif = g.LIF(0.1, 1.0, 10.0, subtract=kind == "soft")
    nodes = [
        g.Node("input", g.Input(), (), (INPUTS,)),
        g.Node("fc", g.Linear(first, np.zeros(HIDDEN)), (("input",),), (HIDDEN,)),
        g.Node("lif", lif, (("fc", "back") if loop else ("fc",),), (HIDDEN,)),
        g.Node("output", g.Output("sum"), (("lif",),), (HIDDEN,)),
    ]
    if loop:
        nodes.append(g.Node("back", g.Linear(own, np.zeros(HIDDEN)), (("lif",),), (HIDDEN,)))
    return lower(g.Graph(g.topological(tuple(nodes)), STEPS))


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("kind", ["hard", "soft", "loop"])
def test_zeros_stay(kind: str, bits: int) -> None:
    graph = pruned(kind)
    rng = np.random.default_rng(1)
    x = (rng.random((48, STEPS, INPUTS)) < 0.4).astype(np.int64)
    program = quantize(graph, x, options=Options(bits=bits)).program
    linear = {n.name: n.op.weight for n in graph.nodes if isinstance(n.op, g.Linear)}
    compared, synapses = 0, 0
    for j in program.projections:
        weights = j.connection.weights if j.connection.storage == "dense" else np.zeros(0)
        for source in linear.values():
            if weights.shape == source.shape and program[j.pre].size == source.shape[1]:
                assert not weights[source == 0].any(), j.name
                compared += int((source == 0).sum())
                synapses += int(np.count_nonzero(weights))
    assert compared >= HIDDEN * INPUTS // 2
    assert synapses > 50
