"""Hand-built float graphs for the compiler's tests: a stem, a causal attention block, a head.

Weights can be dyadic (nothing to round) or real; BatchNorm gains are scaled until every
population fires on the given data.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.evaluate import run


class Builder:
    """Appends nodes and infers the shapes of the simple ops."""

    def __init__(self) -> None:
        self.nodes: dict[str, g.Node] = {}

    def add(self, name: str, op: g.Op, *ports: str | tuple[str, ...], shape: g.Shape) -> str:
        inputs = tuple((p,) if isinstance(p, str) else p for p in ports)
        self.nodes[name] = g.Node(name, op, inputs, shape, name if op.neuron else "")
        return name

    def shape(self, name: str) -> g.Shape:
        return self.nodes[name].shape

    def tokens(self, name: str, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """A Linear on tokens (N, C): permute, 1x1 convolution, permute back."""
        n, c = self.shape(x)
        o = len(weight)
        self.add(f"{name}.t", g.Permute((1, 0)), x, shape=(c, n))
        self.add(f"{name}.r", g.Reshape(), f"{name}.t", shape=(c, n, 1))
        conv = g.Conv2d(weight[:, :, None, None], bias)
        self.add(f"{name}.conv", conv, f"{name}.r", shape=(o, n, 1))
        self.add(f"{name}.b", g.Reshape(), f"{name}.conv", shape=(o, n))
        return self.add(f"{name}.out", g.Permute((1, 0)), f"{name}.b", shape=(n, o))

    def heads(self, name: str, x: str, heads: int) -> str:
        """(N, C) -> (heads, N, C / heads)."""
        n, c = self.shape(x)
        self.add(f"{name}.split", g.Reshape(), x, shape=(n, heads, c // heads))
        order = g.Permute((1, 0, 2))
        return self.add(f"{name}.heads", order, f"{name}.split", shape=(heads, n, c // heads))

    def matmul(self, name: str, a: str, b: str) -> str:
        """(H, M, K) x (H, K, N) as Expand, Product, ReduceSum."""
        (h, m, k), (_, _, n) = self.shape(a), self.shape(b)
        full = (h, m, k, n)
        self.add(f"{name}.a1", g.Reshape(), a, shape=(h, m, k, 1))
        self.add(f"{name}.a", g.Expand(), f"{name}.a1", shape=full)
        self.add(f"{name}.b1", g.Reshape(), b, shape=(h, 1, k, n))
        self.add(f"{name}.b", g.Expand(), f"{name}.b1", shape=full)
        self.add(f"{name}.mul", g.Product(), f"{name}.a", f"{name}.b", shape=full)
        return self.add(f"{name}.sum", g.ReduceSum((2,)), f"{name}.mul", shape=(h, m, n))


def spikeformer(
    *,
    timesteps: int = 5,
    dim: int = 6,
    heads: int = 2,
    blocks: int = 1,
    classes: int = 3,
    size: int = 4,
    dyadic: bool = False,
    causal: bool = True,
    seed: int = 0,
) -> g.Graph:
    """conv-BN-LIF-pool, `blocks` x (attention, MLP) with spike residuals, token mean, linear."""
    rng = np.random.default_rng(seed)
    b = Builder()

    def weight(*shape: int) -> np.ndarray:
        w = rng.normal(size=shape)
        return np.rint(w * 4) / 4 if dyadic else w

    def lif(name: str, x: str, threshold: float = 1.0) -> str:
        return b.add(name, g.LIF(0.5, threshold), x, shape=b.shape(x))

    b.add("input", g.Input(), shape=(2, size, size))
    conv = g.Conv2d(weight(dim, 2, 3, 3), np.zeros(dim), padding=(1, 1))
    b.add("ct.conv", conv, "input", shape=(dim, size, size))
    if dyadic:
        mean, var, gain = np.zeros(dim), np.ones(dim), np.full(dim, 2.0)
        shift, eps = np.full(dim, 0.25), 0.0
    else:
        mean, var, gain = rng.normal(size=dim) * 0.1, rng.uniform(0.5, 2, dim), np.full(dim, 1.5)
        shift, eps = np.full(dim, 0.2), 1e-5
    norm = g.BatchNorm(gain, shift, mean, var, eps)
    b.add("ct.bn", norm, "ct.conv", shape=(dim, size, size))
    lif("ct.lif", "ct.bn")
    half = size // 2
    pool = g.MaxPool2d((2, 2), (2, 2))
    b.add("ct.pool", pool, "ct.lif", shape=(dim, half, half))
    n = half * half
    b.add("ct.flat", g.Reshape(), "ct.pool", shape=(dim, n))
    stream = b.add("tokens", g.Permute((1, 0)), "ct.flat", shape=(n, dim))
    for i in range(blocks):
        stream = _block(b, f"blocks.{i}", stream, heads, weight, lif, causal)
    b.add("mean.sum", g.ReduceSum((0,)), stream, shape=(dim,))
    b.add("mean", g.Scale(1.0 / n), "mean.sum", shape=(dim,))
    b.add("head", g.Linear(weight(classes, dim), weight(classes)), "mean", shape=(classes,))
    b.add("output", g.Output("mean"), "head", shape=(classes,))
    return g.Graph(g.topological(tuple(b.nodes.values())), timesteps)


def _block(b: Builder, name: str, x: str, heads: int, weight, lif, causal: bool) -> str:
    n, dim = b.shape(x)
    q, k, v = (
        b.heads(f"{name}.{s}", lif(f"{name}.{s}_lif", _linear(b, f"{name}.{s}", x, weight)), heads)
        for s in "qkv"
    )
    d = dim // heads
    b.add(f"{name}.kt", g.Permute((0, 2, 1)), k, shape=(heads, d, n))
    kv = b.matmul(f"{name}.kv", f"{name}.kt", v)
    if causal:
        kv = b.add(f"{name}.memory", g.Integrator(), kv, shape=(heads, d, d))
    qkv = b.matmul(f"{name}.qkv", q, kv)
    b.add(f"{name}.scale", g.Scale(0.25), qkv, shape=(heads, n, d))
    attn = lif(f"{name}.attn_lif", f"{name}.scale", 0.5)
    b.add(f"{name}.unhead", g.Permute((1, 0, 2)), attn, shape=(n, heads, d))
    b.add(f"{name}.merge", g.Reshape(), f"{name}.unhead", shape=(n, dim))
    proj = lif(f"{name}.proj_lif", _linear(b, f"{name}.proj", f"{name}.merge", weight))
    b.add(f"{name}.add1", g.Sum(), (x, proj), shape=(n, dim))
    fc1 = lif(f"{name}.fc1_lif", _linear(b, f"{name}.fc1", f"{name}.add1", weight, 2))
    fc2 = lif(f"{name}.fc2_lif", _linear(b, f"{name}.fc2", fc1, weight))
    return b.add(f"{name}.add2", g.Sum(), (f"{name}.add1", fc2), shape=(n, dim))


def _linear(b: Builder, name: str, x: str, weight, grow: float = 0) -> str:
    dim = b.shape(x)[1]
    out = {0: min(dim, b.shape(x)[1]), 2: 2 * dim}[grow]
    if "fc2" in name:
        out = dim // 2
    return b.tokens(name, x, weight(out, dim), np.full(out, 0.25))


def events(graph: g.Graph, samples: int, seed: int = 1, rate: float = 0.3) -> np.ndarray:
    """Binary events [K, T, *input shape]."""
    rng = np.random.default_rng(seed)
    shape = graph.of_type(g.Input)[0].shape
    return (rng.random((samples, graph.timesteps, *shape)) < rate).astype(np.int64)


def live(graph: g.Graph, x: np.ndarray) -> g.Graph:
    """`graph`, asserted to fire in every population on `x`."""
    values = run(graph, x.astype(float))
    silent = [n.name for n in graph if isinstance(n.op, g.LIF) and not values[n.name].any()]
    assert not silent, f"silent populations: {silent}"
    return graph


def with_op(graph: g.Graph, name: str, **changes: object) -> g.Graph:
    """`graph` with fields of one node's op exchanged."""
    return graph.with_nodes(
        replace(n, op=replace(n.op, **changes)) if n.name == name else n for n in graph
    )


LIVE = {
    # (dyadic, causal, blocks): options whose every population fires on events(rate=0.4)
    (True, True, 1): {"seed": 0, "dim": 6},
    (True, True, 2): {"seed": 2, "dim": 8},
    (True, False, 1): {"seed": 4, "dim": 6},
    (True, False, 2): {"seed": 13, "dim": 8},
    (False, True, 1): {"seed": 2, "dim": 8},
    (False, True, 2): {"seed": 2, "dim": 8},
    (False, False, 1): {"seed": 3, "dim": 8},
    (False, False, 2): {"seed": 4, "dim": 8},
}


def live_case(dyadic: bool, causal: bool, blocks: int) -> tuple[g.Graph, np.ndarray]:
    """A network and 8 samples on which every population fires (asserted)."""
    options = LIVE[dyadic, causal, blocks]
    graph = spikeformer(dyadic=dyadic, causal=causal, blocks=blocks, **options)
    x = events(graph, 8, rate=0.4)
    return live(graph, x), x


def membrane_residual(*, dyadic: bool = True, seed: int = 0, blocks: int = 2) -> g.Graph:
    """Spikingformer's stream: real x + BN(linear(LIF(x))), read by LIFs and a real-valued head."""
    rng = np.random.default_rng(seed)
    b, n, dim = Builder(), 4, 6

    def weight(*shape: int) -> np.ndarray:
        w = rng.normal(size=shape)
        return np.rint(w * 4) / 4 if dyadic else w

    b.add("input", g.Input(), shape=(n, dim))
    stream = b.tokens("stem", "input", weight(dim, dim) * 2, weight(dim))
    for i in range(blocks):
        name = f"blocks.{i}"
        spikes = b.add(f"{name}.lif", g.LIF(0.5, 1.0), stream, shape=(n, dim))
        step = b.tokens(f"{name}.fc", spikes, weight(dim, dim), weight(dim))
        stream = b.add(f"{name}.add", g.Sum(), (stream, step), shape=(n, dim))
    last = b.add("last.lif", g.LIF(0.5, 1.0), stream, shape=(n, dim))
    both = b.add("last.add", g.Sum(), (stream, last), shape=(n, dim))
    b.add("mean.sum", g.ReduceSum((0,)), both, shape=(dim,))
    b.add("mean", g.Scale(1.0 / n), "mean.sum", shape=(dim,))
    b.add("head", g.Linear(weight(3, dim), weight(3)), "mean", shape=(3,))
    b.add("output", g.Output("mean"), "head", shape=(3,))
    return g.Graph(g.topological(tuple(b.nodes.values())), timesteps=4)


def pooled_currents(
    kernel: tuple[int, int] = (3, 3),
    stride: tuple[int, int] = (2, 2),
    padding: tuple[int, int] = (1, 1),
    *,
    dyadic: bool = True,
) -> g.Graph:
    """conv -> max-pool of its currents -> LIF -> head, as in QKFormer."""
    rng = np.random.default_rng(3)
    b, size, channels = Builder(), 6, 4
    out = tuple(
        (size + 2 * q - k) // s + 1 for k, s, q in zip(kernel, stride, padding, strict=True)
    )
    weight = rng.normal(size=(channels, 2, 3, 3))
    conv = g.Conv2d(np.rint(weight * 4) / 4 if dyadic else weight, np.full(channels, -0.5))
    conv = replace(conv, padding=(1, 1))
    b.add("input", g.Input(), shape=(2, size, size))
    b.add("conv", conv, "input", shape=(channels, size, size))
    b.add("pool", g.MaxPool2d(kernel, stride, padding), "conv", shape=(channels, *out))
    b.add("lif", g.LIF(0.5, 1.0), "pool", shape=(channels, *out))
    n = channels * out[0] * out[1]
    b.add("flat", g.Reshape(), "lif", shape=(n,))
    head = rng.integers(-2, 3, (3, n)).astype(float)
    b.add("head", g.Linear(head, np.zeros(3)), "flat", shape=(3,))
    b.add("output", g.Output("mean"), "head", shape=(3,))
    return g.Graph(g.topological(tuple(b.nodes.values())), timesteps=4)
