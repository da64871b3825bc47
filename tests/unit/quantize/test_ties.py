"""Exact ties stay exact: weights k w0, biases j w0, a threshold m w0, whatever number w0 is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.compiler.compile import lower
from sfx.toolchain.compiler.passes.balance_delays import BalanceDelays
from sfx.toolchain.compiler.quantize.fit.ties import between, last_silent, threshold_integer
from sfx.toolchain.compiler.quantize.quantize import quantize
from sfx.toolchain.ir import evaluate
from sfx.toolchain.ir import graph as g

UNITS = (0.3, 0.1, 1 / 3, 0.7, 0.013, 1.1, 0.25)
T = 5


def layer(op: g.LIF | g.IF, weight: np.ndarray, bias: np.ndarray) -> g.Graph:
    """input -> Linear -> neuron -> output, float32 constants."""
    fc = g.Linear(*(np.float32(a).astype(np.float64) for a in (weight, bias)))
    shape = (len(weight),)
    nodes = (
        g.Node("input", g.Input(), (), (weight.shape[1],)),
        g.Node("fc", fc, (("input",),), shape),
        g.Node("n", op, (("fc",),), shape),
        g.Node("output", g.Output("sum"), (("n",),), shape),
    )
    return g.Graph(nodes, T)


def by_hand(op: g.LIF | g.IF, weight: np.ndarray, bias: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Spikes in units of w0, where all numbers are dyadic: no rounding anywhere."""
    v = np.zeros((len(x), len(weight)))
    out = np.zeros((len(x), T, len(weight)), np.int64)
    keep = 1 - op.decay if isinstance(op, g.LIF) else 1.0
    for t in range(T):
        v = keep * v + (1 - keep if keep < 1 else 1) * (x[:, t] @ weight.T + bias)
        fired = v >= op.threshold if op.reached else v > op.threshold
        out[:, t] = fired
        v = np.where(fired, v - op.threshold if op.subtract else 0.0, v)
    return out


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(UNITS),
    st.integers(1, 40),
    st.booleans(),
    st.sampled_from(["if", "if_subtract", "lif"]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_whole_multiples_are_lossless(
    unit: float, threshold: int, reached: bool, kind: str, mixed: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.integers(-6 if mixed else 0, 13, (4, 6)).astype(np.float64)
    bias = rng.integers(0, 3, 4).astype(np.float64)
    assume(weight.any())
    whole: g.LIF | g.IF = g.IF(float(threshold), reached=reached, subtract=kind == "if_subtract")
    if kind == "lif":
        whole = g.LIF(0.5, float(threshold), reached=reached)
    x = (rng.random((8, T, 6)) < 0.5).astype(np.int64)
    right = by_hand(whole, weight, bias, x)
    op = replace(whole, threshold=float(np.float32(threshold * unit)))
    made = quantize(lower(layer(op, weight * unit, bias * unit)), x)
    assert all(r.exact for r in made.records if r.population == "n")
    program = BalanceDelays(60).run(made.program)
    assert np.array_equal(ReferenceBackend().layers(program, x)["n"].reshape(right.shape), right)


@pytest.mark.parametrize(
    ("weight", "threshold"), [(0.3, 0.3), (0.1, 0.3), (1 / 3, 1.0), (0.2, 0.6)]
)
def test_the_float_graph_meets_ties_as_float32_does(weight: float, threshold: float) -> None:
    w = np.full((1, 1), weight)
    for reached in (True, False):
        op = g.IF(float(np.float32(threshold)), reached=reached)
        got = evaluate.run(layer(op, w, np.zeros(1)), np.ones((1, T, 1)), keep=["n"])["n"][0, :, 0]
        v, want = np.float32(0), []
        for _ in range(T):
            v = np.float32(v + np.float32(weight))
            fired = v >= np.float32(threshold) if reached else v > np.float32(threshold)
            want.append(float(fired))
            v = np.float32(0) if fired else v
        assert got.tolist() == want
        assert 0 < sum(want) < T or reached


def test_by_hand() -> None:
    assert [last_silent(x, reached) for x in (2.5, 3.0, 3 + 1e-7) for reached in (True, False)] == [
        2, 2, 2, 3, 2, 3,
    ]  # fmt: skip
    assert threshold_integer(0.3, 10.0, reached=True) == (2, True)
    assert threshold_integer(0.3, 10.0, reached=False) == (3, False)
    assert threshold_integer(0.34, 10.0, reached=True) == (3, False)
    # v in steps of 256, threshold 300: 256 is silent, 512 fires; 64 * 5 lies between
    assert between(5, 300.0, reached=False, grain=256.0, unit=64) == 5
    assert between(9, 300.0, reached=False, grain=256.0, unit=64) == 7
    # steps of 16, threshold 320 reached: 304 < vth * 64 <= 319 has no whole vth
    assert between(5, 320.0, reached=True, grain=16.0, unit=64) is None
