"""Small hand-built Programs for the tests of mapping, cost and report."""

from __future__ import annotations

import numpy as np

from sfx.toolchain.ir.program import (
    LIF,
    Connection,
    Conv2d,
    Dense,
    Graded,
    Input,
    NeuronProgram,
    Population,
    Product,
    Program,
    Projection,
    Readout,
    Shape,
    Sparse,
    Structured,
)


class Net:
    """Appends populations and projections; phases and delays follow from the order."""

    def __init__(self, timesteps: int) -> None:
        self.timesteps = timesteps
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []

    def add(
        self,
        name: str,
        shape: Shape,
        neuron: NeuronProgram,
        *inputs: tuple[str, Connection],
        low: int = 0,
        high: int = 1,
        ports: tuple[str, ...] = (),
    ) -> str:
        """A population fed by (pre, connection) pairs, one phase after its latest pre."""
        phase = max((self.populations[pre].phase + 1 for pre, _ in inputs), default=0)
        self.populations[name] = Population(name, shape, neuron, low, high, phase, f"net.{name}")
        for i, (pre, connection) in enumerate(inputs):
            self.projections.append(
                Projection(
                    f"{pre}->{name}.{i}",
                    pre,
                    name,
                    connection,
                    port=ports[i] if ports else "a_in",
                    delay=phase - self.populations[pre].phase,
                )
            )
        return name

    def done(self, output: str) -> Program:
        """The Program with `output` as its read-out."""
        readout = Readout(output, 1.0, (0,) * self.populations[output].size)
        return Program(
            tuple(self.populations.values()), tuple(self.projections), self.timesteps, readout
        )


def lif() -> LIF:
    """A LIF neuron whose parameters do not matter here."""
    return LIF(du=4095, dv=0, vth=64)


def dense(post: int, pre: int, value: int = 2) -> Dense:
    """All-to-all."""
    return Dense(np.full((post, pre), value, dtype=np.int64))


def sparse(post: int, pre: int, density: float, seed: int = 0) -> Sparse:
    """Random even weights."""
    rng = np.random.default_rng(seed)
    weight = 2 * rng.integers(1, 50, (post, pre)) * (rng.random((post, pre)) < density)
    rows, columns = np.nonzero(weight)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=post))))
    return Sparse(indptr, columns.astype(np.int64), weight[rows, columns].astype(np.int64))


def conv(
    out: int,
    in_shape: tuple[int, int, int],
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
    value: int = 2,
) -> Conv2d:
    """A convolution whose weights are all `value`."""
    channels, height, width = in_shape
    size = tuple((n + 2 * padding - kernel) // stride + 1 for n in (height, width))
    weight = np.full((out, channels // groups, kernel, kernel), value, dtype=np.int64)
    return Conv2d(
        weight, in_shape, (out, *size), (stride, stride), (padding, padding), (1, 1), groups
    )


def transformer_like(timesteps: int = 4) -> Program:
    """Input 2x8x8 -> conv 8 -> tokens -> q, k -> product summed over tokens -> gate -> head."""
    net = Net(timesteps)
    net.add("input", (2, 8, 8), Input(payload_bits=4), high=7)
    net.add("stem", (8, 8, 8), lif(), ("input", conv(8, (2, 8, 8), 3, padding=1)))
    pool = conv(8, (8, 8, 8), 2, stride=2, groups=8, value=1)
    net.add("pool", (8, 4, 4), lif(), ("stem", pool))
    for name in ("q", "k"):
        net.add(name, (8, 16, 1), lif(), ("pool", conv(8, (8, 16, 1), 1)))
    channels, tokens = ("c", 8), ("n", 16)
    wide = Structured((channels, tokens), (channels, tokens))
    net.add("kv", (8, 16), Product(), ("q", wide), ("k", wide), ports=("a_in1", "a_in2"))
    net.add("sum", (8,), Graded(), ("kv", Structured((channels, tokens), (channels,))), high=16)
    spread = Structured((channels,), (channels, tokens))
    net.add("gate", (8, 16), lif(), ("sum", spread), ("q", wide))
    net.add("head", (10,), Graded(), ("gate", dense(10, 128)), low=-1000, high=1000)
    return net.done("head")
