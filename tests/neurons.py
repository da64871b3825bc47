"""Small nets of one hidden layer whose neurons are of any kind: loops, currents, resets, starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sfx.toolchain.ir import graph as g


def net(
    op: g.LIF | g.IF,
    *,
    recurrent: bool = False,
    dyadic: bool = True,
    timesteps: int = 4,
    size: int = 6,
    inputs: int = 5,
    seed: int = 0,
    bias: float = 0.25,
    high: int = 1,
) -> g.Graph:
    """input -> Linear -> neuron (-> Linear -> itself) -> Linear -> LIF -> output."""
    rng = np.random.default_rng(seed)

    def weight(rows: int, columns: int, spread: float = 1.0) -> g.FloatArray:
        w = rng.normal(size=(rows, columns)) * spread
        return np.rint(w * 4) / 4 if dyadic else w

    shape = (size,)
    nodes = [
        g.Node("input", g.Input(high if high > 1 else 0), (), (inputs,)),
        g.Node("fc", g.Linear(weight(size, inputs), np.full(size, bias)), (("input",),), shape),
        g.Node("cell", op, (("fc", "rec") if recurrent else ("fc",),), shape, "cell"),
    ]
    if recurrent:
        loop = g.Linear(weight(size, size, 0.7), np.full(size, bias / 2))
        nodes.append(g.Node("rec", loop, (("cell",),), shape))
    last = g.LIF(0.5, 0.5)
    nodes += [
        g.Node("out_fc", g.Linear(weight(3, size), np.full(3, bias)), (("cell",),), (3,)),
        g.Node("last", last, (("out_fc",),), (3,), "last"),
        g.Node("output", g.Output("sum"), (("last",),), (3,)),
    ]
    return g.Graph(g.topological(tuple(nodes)), timesteps)


def side_by_side(ops: dict[str, g.LIF | g.IF], *, recurrent: bool, **options: object) -> g.Graph:
    """One input, a branch for each neuron as in `net`, one output: a single run shows all."""
    nodes: dict[str, g.Node] = {}
    for i, (kind, op) in enumerate(ops.items()):
        branch = net(op, recurrent=recurrent, seed=i, **options)  # type: ignore[arg-type]
        for n in branch:
            shared = isinstance(n.op, g.Input)
            name = n.name if shared else f"{kind}.{n.name}"
            sources = tuple(p if p == "input" else f"{kind}.{p}" for p in n.producers)
            if not isinstance(n.op, g.Output):
                nodes[name] = replace(n, name=name, inputs=(sources,) if sources else ())
    lasts = tuple(f"{kind}.last" for kind in ops)
    nodes["output"] = g.Node("output", g.Output("sum"), (lasts,), (3,))
    return g.Graph(g.topological(tuple(nodes.values())), branch.timesteps)


LIF = g.LIF(0.5, 1.0)
CUBA = g.LIF(0.5, 0.75, gain=2.0, syn=0.5, w_in=2.0)
KINDS: dict[str, g.LIF | g.IF] = {
    "lif": LIF,
    "if": g.IF(1.0),
    "reset": replace(LIF, reset=0.25),
    "reset_below": replace(LIF, reset=-0.5),
    "leak": replace(LIF, leak=0.75),
    "start": replace(LIF, start=0.5),
    "start_at_reset": replace(LIF, reset=-0.25, start=-0.25),
    "if_reset": g.IF(1.0, reset=0.5),
    "subtract": replace(LIF, subtract=True),
    "subtract_leak": replace(LIF, subtract=True, leak=0.5),
    "subtract_start": replace(LIF, subtract=True, start=-1.0),
    "subtract_drop": replace(LIF, subtract=True, drop=2.0),
    "if_subtract": g.IF(1.0, subtract=True),
    "cuba": CUBA,
    "cuba_leak": replace(CUBA, leak=0.5),
    "cuba_reset": replace(CUBA, reset=0.25),
    "cuba_start": replace(CUBA, reset=-0.25, start=-0.25),
    "cuba_subtract": replace(CUBA, subtract=True),
    "reached": replace(LIF, reached=True, subtract=True),
    "cuba_reached": replace(CUBA, reached=True),
}
"""Every kind of neuron, with constants that integers hold exactly over a few steps."""


def events(graph: g.Graph, samples: int, seed: int = 1, rate: float = 0.5) -> np.ndarray:
    """Event counts [K, T, inputs]."""
    rng = np.random.default_rng(seed)
    source = graph.of_type(g.Input)[0]
    high = max(1, source.op.high)  # type: ignore[attr-defined]  # the Input's own field
    shape = (samples, graph.timesteps, *source.shape)
    return (rng.random(shape) < rate) * rng.integers(1, high + 1, shape)
