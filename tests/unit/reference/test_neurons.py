"""Neuron programs against numbers measured in Lava, plain Python, and a real Loihi 2 chip."""

from __future__ import annotations

from math import trunc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.backends.reference import neurons
from sfx.backends.reference.neurons import clock, graded, graded_relu, lif, product
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ir.program import LIF, Graded, GradedReLU, Product


def fresh() -> lif.State:
    return lif.reset((1,))


def one(x: int) -> np.ndarray:
    return np.array([x], dtype=np.int64)


@pytest.mark.parametrize(
    ("a_in", "u"),
    # integer semantics 2.1: overflow of u as measured in Lava
    [(131072, 2**23), (-131072, 2**23), (400000, 8822784), (1, 64), (-1, -64)],
)
def test_current_as_measured(a_in: int, u: int) -> None:
    state, _ = lif.step(LIF(4095, 0, 1 << 25), fresh(), one(a_in), LOIHI)
    assert state.u[0] == u


def test_shift_of_the_input_wraps_at_32_bits_first() -> None:
    state, _ = lif.step(LIF(4095, 0, 1 << 25), fresh(), one(1 << 26), LOIHI)
    assert state.u[0] == 0


def test_threshold_is_strict_and_reset_goes_to_zero() -> None:
    n = LIF(du=4095, dv=0, vth=10)
    state, s = lif.step(n, fresh(), one(10), LOIHI)
    assert (s[0], state.v[0]) == (0, 640)
    state, s = lif.step(n, state, one(1), LOIHI)
    assert (s[0], state.v[0]) == (1, 0)
    assert state.u[0] == 64, "u is not reset by a spike"


def test_bias_is_not_shifted_by_six() -> None:
    for mant, exp, expected in [(5, 0, 5), (5, 6, 320), (5, -1, 2), (-5, -1, -3)]:
        state, _ = lif.step(LIF(4095, 0, 100, one(mant), exp), fresh(), one(0), LOIHI)
        assert state.v[0] == expected


def python_lif(n: LIF, inputs: list[int]) -> list[tuple[int, int, int]]:
    """Integer semantics 2.1 in Python's big integers: (u, v, s) per step."""
    u = v = 0
    out = []
    for a in inputs:
        x = (a * 64 + 2**31) % 2**32 - 2**31
        u = trunc_shift(u * (4096 - (n.du + 1))) + x
        if u > 2**23:
            u -= 2**24
        elif u <= -(2**23):
            u += 2**24
        v = trunc_shift(v * (4096 - n.dv)) + u + int(n.bias_mant) * 2**n.bias_exp
        v = min(max(v, -(2**23 - 1)), 2**23 - 1)
        s = int(v > n.vth * 64)
        v = 0 if s else v
        out.append((u, v, s))
    return out


def trunc_shift(x: int) -> int:
    return trunc(x / 4096) if abs(x) < 2**52 else (abs(x) // 4096) * (1 if x > 0 else -1)


@given(
    st.integers(-1, 4095),
    st.integers(0, 4096),
    st.integers(0, 5000),
    st.integers(-4096, 4095),
    st.integers(0, 7),
    st.lists(st.integers(-(2**18), 2**18), min_size=1, max_size=12),
)
def test_lif_against_python(
    du: int, dv: int, vth: int, mant: int, exp: int, inputs: list[int]
) -> None:
    n = LIF(du, dv, vth, np.array(mant), exp)
    state, got = fresh(), []
    for a in inputs:
        state, s = lif.step(n, state, one(a), LOIHI)
        got.append((int(state.u[0]), int(state.v[0]), int(s[0])))
    assert got == python_lif(n, inputs)


@pytest.mark.needs_data
def test_lif_equals_a_loihi2_chip(data_dir: Path) -> None:
    """The NIR paper's LIF on silicon, 1000 steps: input, v, spike.

    640 is what one input leaves in v (weight 10), 163 = floor(4096 * 1e-4 / 2.5e-3), 25 = 1600
    / 64; the synapse takes one step. Where it fires the chip's probe shows 128 instead of 0.
    """
    x, v, s = np.loadtxt(
        data_dir / "nir" / "lif_traces" / "lif_lava_loihi_fixed.csv", delimiter=","
    ).T.astype(np.int64)
    n, state = LIF(du=4095, dv=163, vth=25), fresh()
    arriving = np.concatenate([[0], x[:-1]])
    for t in range(len(x)):
        state, spike = lif.step(n, state, one(10 * arriving[t]), LOIHI)
        assert spike[0] == s[t]
        assert state.v[0] == (0 if s[t] else v[t])
    assert s.sum() == 4


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 10))
def test_graded_and_relu(a: int, vth: int) -> None:
    assert graded.step(Graded(vth), one(a))[0] == (a if abs(a) > vth else 0)
    assert graded_relu.step(GradedReLU(vth), one(a))[0] == (a if a > vth else 0)


@given(
    st.integers(-(2**31), 2**31 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 31),
    st.integers(0, 5),
)
def test_product_wraps_before_it_shifts(a: int, b: int, exp: int, vth: int) -> None:
    v = ((a * b + 2**31) % 2**32 - 2**31) // 2**exp
    assert product.step(Product(exp, vth), one(a), one(b))[0] == (v if abs(v) > vth else 0)


def test_clock_ticks_at_the_last_step_also_before_its_phase() -> None:
    ticks = [clock.tick(h, phase=5, period=4) for h in range(14)]
    assert [h for h, t in enumerate(ticks) if t] == [0, 4, 8, 12]


def test_active_counts_input_state_and_bias() -> None:
    n = LIF(4095, 0, 10, np.array([0, 0, 0, 7]))
    state = lif.State(np.array([0, 0, 3, 0]), np.zeros(4, np.int64))
    busy = neurons.active(n, state, {"a_in": np.array([0, -1, 0, 0])})
    assert busy.tolist() == [0, 1, 1, 1]
