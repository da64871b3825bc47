"""Event counts are no bits, and whole-number weights of any size and sign are exact."""

from __future__ import annotations

import numpy as np
import pytest

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import compile_program, lower
from sfx.toolchain.compiler.quantize.options import Options
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ground.errors import UnsupportedError
from sfx.toolchain.ir import evaluate
from sfx.toolchain.ir import graph as g
from sfx.toolchain.targets import load as load_target

T = 4
SHAPE = (2, 4, 4)


def graph(*middle: tuple[g.Op, g.Shape], threshold: float, reached: bool = True) -> g.Graph:
    """input -> middle ops in a row (a Product also reads the input) -> IF -> output."""
    nodes = [g.Node("input", g.Input(), (), SHAPE)]
    for i, (op, shape) in enumerate(middle):
        last = (nodes[-1].name,)
        ports = (last, ("input",)) if isinstance(op, g.Product) else (last,)
        nodes.append(g.Node(f"m{i}", op, ports, shape))
    shape = nodes[-1].shape
    nodes.append(g.Node("n", g.IF(threshold, reached=reached), ((nodes[-1].name,),), shape))
    nodes.append(g.Node("output", g.Output("sum"), (("n",),), shape))
    return g.Graph(tuple(nodes), T)


def exact(made: g.Graph, x: np.ndarray, options: Options | None = None) -> np.ndarray:
    """Spikes of `n`, the Program's equal to the float graph's."""
    high = (options or Options()).input_high(x)
    quantized = quantize(lower(made, high), x, options=options)
    program = compile_program(quantized.program, load_target("loihi")).program
    mine = ReferenceBackend().layers(program, x)["n"]
    real = evaluate.run(made, x, keep=["n"])["n"].reshape(mine.shape)
    assert 0 < real.mean() < 1, "silent or saturated"
    assert np.array_equal(mine, real)
    return mine


def counts(most: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, most + 1, (5, T, *SHAPE)) * (rng.random((5, T, *SHAPE)) < 0.3)


POOL = (g.MaxPool2d((2, 2), (2, 2)), (2, 2, 2))


def test_a_maximum_of_counts_is_no_or() -> None:
    exact(graph(POOL, threshold=9.0), counts(5))


def test_a_product_of_counts_is_no_and() -> None:
    gate = g.Threshold(1.5)
    exact(graph((gate, SHAPE), (g.Product(), SHAPE), threshold=5.0), counts(4))


def test_spikes_are_still_bits() -> None:
    low = lower(graph(POOL, threshold=2.0), 1)
    assert isinstance(low["m0"].op, g.Threshold)
    assert not isinstance(lower(graph(POOL, threshold=2.0), 3)["m0"].op, g.Threshold)


def conv(most: int, bias: bool, seed: int = 1) -> tuple[g.Op, g.Shape]:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-most, most + 1, (3, 2, 3, 3)).astype(np.float64)
    offset = np.array([1.0, 0.0, -2.0]) * bias
    return g.Conv2d(weight, offset, (1, 1), (1, 1)), (3, 4, 4)


AFTER: dict[str, tuple[tuple[g.Op, g.Shape], ...]] = {
    "max-pool": ((g.MaxPool2d((2, 2), (2, 2)), (3, 2, 2)),),
    "sum-pool": ((g.SumPool2d((2, 2), (2, 2)), (3, 2, 2)), (g.Scale(0.25), (3, 2, 2))),
    "threshold": ((g.Threshold(0.5), (3, 4, 4)),),
    "over the steps": ((g.TimeSum(), (3, 4, 4)),),
    "so far": ((g.Integrator(), (3, 4, 4)),),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("after", AFTER)
def test_weights_of_both_signs(after: str, bias: bool) -> None:
    threshold = {"over the steps": 9.0, "so far": 9.0}.get(after, 2.0)
    exact(graph(conv(1, bias), *AFTER[after], threshold=threshold), counts(1))


@pytest.mark.parametrize("after", ["max-pool", "sum-pool"])
def test_weights_above_a_mantissa(after: str) -> None:
    exact(graph(conv(700, bias=True), *AFTER[after], threshold=900.0), counts(1))


def test_weights_that_two_projections_do_not_hold() -> None:
    made = graph(conv(100_000, bias=False), *AFTER["sum-pool"], threshold=900.0)
    with pytest.raises(UnsupportedError, match=r"SFX-E370 .*whole-number weight"):
        quantize(lower(made, 1), counts(1))
