"""Two convolutions in a row are one, to rounding; where that is not so they are left alone."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.toolchain.compiler.passes.fold_convs import FoldConvs
from sfx.toolchain.ir import graph as g
from sfx.toolchain.ir.check import check_graph
from sfx.toolchain.ir.evaluate import run
from tests.graphs import Builder


def chain(*convs: g.Conv2d, size: int = 7) -> g.Graph:
    b, x, shape = Builder(), "input", (convs[0].weight.shape[1] * convs[0].groups, size, size)
    b.add("input", g.Input(), shape=shape)
    for i, conv in enumerate(convs):
        spatial = tuple(
            (n + 2 * p - k) // s + 1
            for n, p, k, s in zip(
                shape[1:], conv.padding, conv.weight.shape[2:], conv.stride, strict=True
            )
        )
        shape = (len(conv.weight), *spatial)
        x = b.add(f"conv{i}", conv, x, shape=shape)
    b.add("output", g.Output("none"), x, shape=shape)
    return g.Graph(g.topological(tuple(b.nodes.values())), timesteps=2)


def conv(out: int, into: int, kernel: int, seed: int, **options: object) -> g.Conv2d:
    rng = np.random.default_rng(seed)
    groups = int(options.get("groups", 1))
    weight = rng.normal(size=(out, into // groups, kernel, kernel))
    return g.Conv2d(weight, rng.normal(size=out), **options)


def same(graph: g.Graph, folded: g.Graph) -> bool:
    x = np.random.default_rng(0).normal(size=(2, 2, *graph["input"].shape))
    return np.allclose(run(graph, x)["output"], run(folded, x)["output"], atol=1e-9)


@pytest.mark.parametrize("stride", [1, 2])
def test_repconv_becomes_one_dense_kernel(stride: int) -> None:
    """1x1 with a border, depthwise 3x3, 1x1: biases at the border included."""
    graph = chain(
        conv(4, 4, 1, 1, padding=(1, 1)),
        conv(4, 4, 3, 2, groups=4),
        conv(6, 4, 1, 3, stride=(stride, stride)),
    )
    folded = FoldConvs().run(graph)
    check_graph(folded)
    kernels = [n.op.weight.shape for n in folded.of_type(g.Conv2d)]
    assert kernels == [(6, 4, 3, 3)]
    assert same(graph, folded)


@pytest.mark.parametrize(
    "convs",
    [
        (conv(4, 3, 3, 1), conv(5, 4, 3, 2, padding=(1, 1))),  # padding pads A's output, not x
        (conv(4, 3, 3, 1, stride=(2, 2)), conv(5, 4, 3, 2)),
        (conv(40, 40, 7, 1, groups=40, padding=(3, 3)), conv(40, 40, 1, 2)),  # 25 times the weights
    ],
)
def test_other_pairs_stay(convs: tuple[g.Conv2d, g.Conv2d]) -> None:
    graph = chain(*convs)
    assert len(FoldConvs().run(graph).of_type(g.Conv2d)) == 2
