"""`arith` against Python's big integers, one number at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.toolchain.ground import arith
from sfx.toolchain.ground.arithmetic import LOIHI

WIDE = st.integers(-(2**40), 2**40)
STATE = st.integers(-(2**24), 2**24)
WEIGHT = st.integers(-600, 600)


def one(x: int) -> np.ndarray:
    return np.array([x], dtype=np.int64)


@given(WIDE, st.integers(2, 40))
def test_wrap_is_twos_complement(x: int, bits: int) -> None:
    got = int(arith.wrap(one(x), bits)[0])
    assert -(2 ** (bits - 1)) <= got < 2 ** (bits - 1)
    assert (got - x) % 2**bits == 0


@given(WIDE)
def test_wrap32_is_numpys_cast(x: int) -> None:
    with np.errstate(over="ignore"):
        assert arith.wrap32(one(x))[0] == one(x).astype(np.int32)[0]


@given(WIDE, st.integers(0, 40))
def test_truncate_shift_rounds_toward_zero(x: int, bits: int) -> None:
    quotient = abs(x) // 2**bits
    assert arith.truncate_shift(one(x), bits)[0] == (quotient if x >= 0 else -quotient)


@given(STATE, st.integers(0, 4096))
def test_decay(x: int, factor: int) -> None:
    magnitude = abs(x) * factor // 4096
    assert LOIHI.decayed(one(x), factor)[0] == (magnitude if x >= 0 else -magnitude)


def test_decay_never_drags_to_minus_one() -> None:
    assert LOIHI.decayed(one(-1), 4095)[0] == 0, "floor would leave -1 for ever"


@given(st.integers(-(2**26), 2**26))
def test_current_wraps_once(u: int) -> None:
    expected = u - 2**24 if u > 2**23 else u + 2**24 if u <= -(2**23) else u
    assert LOIHI.wrap_current(one(u))[0] == expected


@given(st.integers(-(2**26), 2**26))
def test_membrane_saturates(v: int) -> None:
    assert LOIHI.saturate_membrane(one(v))[0] == min(max(v, -(2**23) + 1), 2**23 - 1)


@given(STATE, st.integers(-20, 20))
def test_exponent_floors(x: int, e: int) -> None:
    assert arith.scale_exponent(one(x), e)[0] == (x * 2**e if e >= 0 else x // 2**-e)


@given(st.lists(WEIGHT, min_size=1, max_size=8))
def test_sign_mode(weights: list[int]) -> None:
    mode = arith.sign_mode(np.array(weights))
    if all(w >= 0 for w in weights):
        assert mode == "excitatory"
    elif all(w <= 0 for w in weights):
        assert mode == "inhibitory"
    else:
        assert mode == "mixed"


@given(st.lists(WEIGHT, min_size=1, max_size=8), st.integers(1, 8))
def test_effective_weights(weights: list[int], bits: int) -> None:
    got = LOIHI.effective_weights(np.array(weights), bits).tolist()
    mixed = min(weights) < 0 < max(weights)
    step = 2 ** (8 - bits + (1 if mixed else 0))
    for w, e in zip(weights, got, strict=True):
        if mixed:
            expected = min(max(w, -256), 255) // step * step
        else:
            magnitude = min(abs(w), 255) // step * step
            expected = magnitude if w >= 0 else -magnitude
        assert e == expected


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([3, -3, 1, -1], [2, -4, 0, -2]),  # integer semantics 3.1
        ([300, -300], [254, -256]),
        ([3, 1, 300], [3, 1, 255]),
        ([-3, -1, -300], [-3, -1, -255]),
    ],
)
def test_effective_weights_as_measured(weights: list[int], expected: list[int]) -> None:
    assert LOIHI.effective_weights(np.array(weights)).tolist() == expected


@given(st.lists(WEIGHT, min_size=1, max_size=8))
def test_effective_weights_are_a_fixed_point(weights: list[int]) -> None:
    once = LOIHI.effective_weights(np.array(weights), mode=arith.sign_mode(np.array(weights)))
    mode = arith.sign_mode(np.array(weights))
    assert np.array_equal(LOIHI.effective_weights(once, mode=mode), once)


def test_as_int_refuses_fractions() -> None:
    assert arith.as_int([1.0, True, -2]).tolist() == [1, 1, -2]
    with pytest.raises(ValueError, match="whole"):
        arith.as_int([0.5])
