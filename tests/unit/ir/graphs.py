"""Small graphs that several tests share."""

from __future__ import annotations

import numpy as np

from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.graph import Graph, Node, Op, Shape


def node(name: str, op: Op, shape: Shape, *ports: str | tuple[str, ...], module: str = "") -> Node:
    """A node; each port is one producer's name or a tuple of names."""
    inputs = tuple((p,) if isinstance(p, str) else p for p in ports)
    return Node(name, op, inputs, shape, module)


def chain(*stages: tuple[str, Op, Shape], timesteps: int = 3, reduce: str = "mean") -> Graph:
    """Stages one after the other; the first is an Input, an Output is appended."""
    nodes = [node(stages[0][0], stages[0][1], stages[0][2])]
    for name, op, shape in stages[1:]:
        nodes.append(node(name, op, shape, nodes[-1].name))
    nodes.append(node("output", g.Output(reduce), nodes[-1].shape, nodes[-1].name))
    return Graph(tuple(nodes), timesteps, 1e-3, "chain")


def attention(
    tokens: int = 4, dim: int = 3, heads: int = 2, timesteps: int = 5, seed: int = 0
) -> Graph:
    """q (cumsum_t k^T v) over spikes of one input, with every kind of structural op."""
    rng = np.random.default_rng(seed)
    width = heads * dim
    nodes = [node("input", g.Input(), (width, tokens))]

    def project(name: str) -> str:
        weight = rng.normal(size=(width, width, 1, 1))
        nodes.append(node(f"{name}.in", g.Reshape(), (width, tokens, 1), "input"))
        conv = g.Conv2d(weight, rng.normal(size=width))
        nodes.append(node(f"{name}.conv", conv, (width, tokens, 1), f"{name}.in"))
        nodes.append(node(f"{name}.lif", g.LIF(0.5, 0.4), (width, tokens, 1), f"{name}.conv"))
        nodes.append(node(f"{name}.heads", g.Reshape(), (heads, dim, tokens), f"{name}.lif"))
        return f"{name}.heads"

    def wide(name: str, source: str, shape: Shape, full: Shape) -> str:
        nodes.append(node(f"{name}.flat", g.Reshape(), shape, source))
        nodes.append(node(f"{name}.wide", g.Expand(), full, f"{name}.flat"))
        return f"{name}.wide"

    q, k, v = (project(n) for n in "qkv")
    full = (heads, dim, dim, tokens)
    k_wide = wide("k", k, (heads, dim, 1, tokens), full)
    v_wide = wide("v", v, (heads, 1, dim, tokens), full)
    nodes += [
        node("kv", g.Product(), full, k_wide, v_wide),
        node("kv_sum", g.ReduceSum((3,)), (heads, dim, dim), "kv"),
        node("memory", g.Integrator(1.0), (heads, dim, dim), "kv_sum"),
        node("q_order", g.Permute((0, 2, 1)), (heads, tokens, dim), q),
    ]
    full = (heads, tokens, dim, dim)
    q_wide = wide("q", "q_order", (heads, tokens, dim, 1), full)
    m_wide = wide("m", "memory", (heads, 1, dim, dim), full)
    nodes += [
        node("qm", g.Product(), full, q_wide, m_wide),
        node("qm_sum", g.ReduceSum((2,)), (heads, tokens, dim), "qm"),
        node("scaled", g.Scale(0.125), (heads, tokens, dim), "qm_sum"),
        node("attn_lif", g.LIF(0.5, 0.25), (heads, tokens, dim), "scaled", module="attn.lif"),
        node("joined", g.Permute((0, 2, 1)), (heads, dim, tokens), "attn_lif"),
        node("tokens", g.Reshape(), (width, tokens), "joined"),
        node("residual", g.Sum(), (width, tokens), ("tokens", "input")),
        node("pooled", g.ReduceSum((1,)), (width,), "residual"),
        node(
            "head",
            g.Linear(rng.normal(size=(5, width)), rng.normal(size=5)),
            (5,),
            "pooled",
        ),
        node("output", g.Output("mean"), (5,), "head"),
    ]
    return Graph(tuple(nodes), timesteps, 1e-3, "attention")


def same(a: Graph, b: Graph) -> None:
    """Assert that two graphs are equal: facts, names, operands, shapes, constants to the bit."""
    assert (a.timesteps, a.dt, a.name) == (b.timesteps, b.dt, b.name)
    assert {n.name for n in a} == {n.name for n in b}
    for left in a:
        right = b[left.name]
        assert (left.inputs, left.shape, left.module) == (right.inputs, right.shape, right.module)
        assert type(left.op) is type(right.op), left.name
        for key, value in vars(left.op).items():
            np.testing.assert_array_equal(value, getattr(right.op, key), err_msg=left.name)
