"""Mantissas: legal for Loihi, never silently truncated, exact where exactness exists."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sfx.toolchain.compiler.quantize.fit.mantissa import (
    WeightBits,
    exact_gain,
    largest_gain,
    mantissas,
    weight_error,
)
from sfx.toolchain.ground.arithmetic import LOIHI

EIGHT = WeightBits(8, 8)

reals = arrays(np.float64, st.integers(1, 12), elements=st.floats(-8, 8, width=32))


@given(st.lists(reals, min_size=1, max_size=3))
def test_lava_keeps_every_mantissa(weights: list[np.ndarray]) -> None:
    m = mantissas(weights, largest_gain(weights, EIGHT), EIGHT)
    assert m.clipped == 0, "the largest gain clips nothing"
    for w in m.weights:
        assert np.array_equal(LOIHI.effective_weights(w), w), "clipped or truncated by the hardware"


@given(st.lists(reals, min_size=1, max_size=3))
def test_rounding_is_to_the_nearest_step(weights: list[np.ndarray]) -> None:
    m = mantissas(weights, largest_gain(weights, EIGHT), EIGHT)
    for w, q, headroom in zip(weights, m.weights, m.headroom, strict=True):
        step = 2 if w.min() < 0 < w.max() else 1
        assert np.all(np.abs(q - w * m.gain * 2.0**headroom) <= step / 2 + 1e-9)


@given(arrays(np.int64, 8, elements=st.integers(-127, 127)), st.integers(-4, 4))
def test_representable_weights_are_exact(whole: np.ndarray, shift: int) -> None:
    weights = [whole * 2.0**shift]
    gain = exact_gain(weights, EIGHT)
    assert gain is not None
    m = mantissas(weights, gain, EIGHT)
    assert weight_error(weights, m) == 0.0


def test_thirds_share_a_gain_and_an_irrational_pair_does_not() -> None:
    assert exact_gain([np.array([1 / 3, -1.0])], EIGHT) == 6.0  # mixed signs: even mantissas
    assert exact_gain(
        [np.array([1 / 3]), np.array([np.float32(0.2), 0.6])], EIGHT
    ) == pytest.approx(15)
    assert exact_gain([np.array([1.0, np.sqrt(2)])], EIGHT) is None
    assert exact_gain([np.array([0.001, 1.0])], EIGHT) is None, "1000 mantissas"


def test_small_projection_gets_headroom() -> None:
    m = mantissas([np.array([1.0, -1.0]), np.array([0.01, -0.01])], 254.0, EIGHT)
    assert m.headroom == (0, 6)
    assert np.abs(m.weights[1]).max() > 100, "8 bits are used, not 2"


def test_clipping_is_counted() -> None:
    m = mantissas([np.array([1.0, -0.5, 0.25])], 400.0, EIGHT)
    assert m.clipped == 1
    assert m.weights[0].tolist() == [254, -200, 100]


@given(
    st.lists(reals, min_size=1, max_size=3),
    st.integers(2, 8),
    st.floats(0.3, 3),
)
def test_few_bits_are_what_the_hardware_stores(
    weights: list[np.ndarray], bits: int, factor: float
) -> None:
    """b-bit mantissas survive Lava's truncation to b bits, also where clipped."""
    used = WeightBits(bits, 8)
    m = mantissas(weights, largest_gain(weights, used) * factor, used)
    for w, q in zip(weights, m.weights, strict=True):
        stored = LOIHI.effective_weights(q, 8 if w.size == 1 else bits)
        assert np.array_equal(stored, q), (w, q)


def test_channels_of_one_wire_take_exponents_of_their_own() -> None:
    weight = np.array([[1.0, -1.0], [0.1, -0.1], [0.9, 0.2]])
    m = mantissas([weight], 192.0, WeightBits(3, 8), headrooms=[np.array([0, 3, 0])])
    assert m.wires == (0, 0)
    assert m.headroom == (0, 3)
    assert [w.any(axis=1).tolist() for w in m.weights] == [
        [True, False, True],
        [False, True, False],
    ]
    assert np.allclose(m.values()[0] / m.gain, weight, atol=0.17)
