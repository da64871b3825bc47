"""Connection kinds on illegal weights and overflows: rules that legal Programs never reach.

Legal connections are compared with `ir.connections.matrix` in `tests/property`.
"""

from __future__ import annotations

import numpy as np
import pytest

from sfx.backends.reference.connections import conv2d, dense, sparse, structured
from sfx.backends.reference.synapses import build, gather
from sfx.toolchain.ground.arithmetic import LOIHI
from sfx.toolchain.ir import program as p

MIXED = [3, -3, 1, -1, 300, -300]


def test_dense_truncates_and_clips_mixed_weights() -> None:
    apply = dense.synapses(p.Dense(np.array(MIXED)[:, None]), 0, LOIHI)
    assert apply(np.array([[1]])).tolist() == [[2, -4, 0, -2, 254, -256]]


def test_sparse_truncates_and_clips_mixed_weights() -> None:
    c = p.Sparse(np.arange(7), np.zeros(6, np.int64), np.array(MIXED))
    assert sparse.synapses(c, 0, LOIHI)(np.array([[1]])).tolist() == [[2, -4, 0, -2, 254, -256]]


def test_conv_neither_truncates_nor_clips() -> None:
    c = p.Conv2d(np.array(MIXED).reshape(6, 1, 1, 1), (1, 1, 1), (6, 1, 1))
    assert conv2d.synapses(c, 0, LOIHI)(np.array([[1]])).tolist() == [MIXED]


def test_conv_with_negative_exponent_is_sparse() -> None:
    c = p.Conv2d(np.array(MIXED).reshape(6, 1, 1, 1), (1, 1, 1), (6, 1, 1))
    assert conv2d.synapses(c, -1, LOIHI)(np.array([[1]])).tolist() == [[1, -2, 0, -1, 127, -128]]


def test_structured_weights_are_one_signed_and_clipped() -> None:
    for weight, expected in [(1, 1), (-1, -1), (3, 3), (300, 255), (-300, -255)]:
        c = p.Structured((("a", 1),), (("a", 1),), weight)
        assert structured.synapses(c, 0, LOIHI)(np.array([[1]])).tolist() == [[expected]]


def test_exponent_shifts_the_sum_and_floors() -> None:
    for weights, expected in [([1, 1], 1), ([-1, -1], -1), ([-3, 0], -2), ([3, 0], 1)]:
        apply = dense.synapses(p.Dense(np.array([weights])), -1, LOIHI)
        assert apply(np.array([[1, 1]])).tolist() == [[expected]]


@pytest.mark.parametrize(
    ("payload", "expected"),
    [(2**23, 0), (2**22, -(2**31)), (2**22 - 1, 2**31 - 2**9)],
)
def test_dense_wraps_at_32_bits(payload: int, expected: int) -> None:
    weights = np.array([[128, 128, 128, 128]])
    s = np.full((1, 4), payload)
    assert dense.synapses(p.Dense(weights), 0, LOIHI)(s).tolist() == [[expected]]
    c = p.Sparse(np.array([0, 4]), np.arange(4), weights[0])
    assert sparse.synapses(c, 0, LOIHI)(s).tolist() == [[expected]]


def test_dense_wraps_again_behind_the_shift() -> None:
    apply = dense.synapses(p.Dense(np.array([[1]])), 7, LOIHI)
    assert apply(np.array([[2**24]])).tolist() == [[-(2**31)]]


@pytest.mark.parametrize(("payload", "expected"), [(2**15, -(2**23)), (2**15 - 1, 2**23 - 256)])
def test_conv_wraps_at_24_bits(payload: int, expected: int) -> None:
    c = p.Conv2d(np.full((1, 1, 1, 1), 128), (1, 1, 1), (1, 1, 1))
    assert conv2d.synapses(c, 1, LOIHI)(np.array([[payload]])).tolist() == [[expected]]


def test_conv_is_a_correlation_with_the_kernel_as_given() -> None:
    c = p.Conv2d(np.arange(1, 5).reshape(1, 1, 2, 2), (1, 2, 2), (1, 1, 1))
    image = np.array([[1, 10, 100, 1000]])
    assert conv2d.synapses(c, 0, LOIHI)(image).tolist() == [[1 + 20 + 300 + 4000]]


def test_structured_sums_transposes_and_broadcasts() -> None:
    c = p.Structured((("a", 2), ("b", 3)), (("b", 3), ("c", 2)))
    s = np.array([[1, 2, 3, 10, 20, 30]])
    assert structured.synapses(c, 0, LOIHI)(s).tolist() == [[11, 11, 22, 22, 33, 33]]
    total = p.Structured((("a", 2), ("b", 3)), ())
    assert structured.synapses(total, 0, LOIHI)(s).tolist() == [[66]]


def population(name: str, high: int) -> p.Population:
    return p.Population(name, (2,), p.Graded(), 0, high)


def test_binary_spikes_carry_no_payload() -> None:
    j = p.Projection("j", "a", "b", p.Dense(np.array([[1, 0], [0, 1]])))
    s = np.array([[7, -2]])
    assert build(j, population("a", 1), population("b", 9), LOIHI)(s).tolist() == [[1, 1]]
    assert build(j, population("a", 9), population("b", 9), LOIHI)(s).tolist() == [[7, -2]]


def test_fan_in_to_one_port_is_summed_in_32_bits() -> None:
    ends = population("a", 2**23 - 1), population("b", 9)
    js = tuple(p.Projection(f"j{i}", "a", "b", p.Dense(np.full((2, 2), 255))) for i in range(3))
    program = p.Program(ends, js, 1, p.Readout("b", 1.0, (0, 0)))
    rules = {j.name: build(j, *ends, LOIHI) for j in js}
    s = np.full((1, 2), 2**22)
    got = gather(program, ends[1], rules, lambda j: s, 1)["a_in"]
    assert got.tolist() == [[(3 * 2 * 255 * 2**22 + 2**31) % 2**32 - 2**31] * 2]
