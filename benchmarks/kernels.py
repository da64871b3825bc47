"""The two kernels written as vector code for LLVM, beside the same sums as plain numba loops.

python benchmarks/kernels.py      one core; the figures of docs/adr/0018
"""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from sfx.backends.fast.kernels.multiply_add import TILE, add_taps
from sfx.backends.fast.kernels.update import lif_step

NEURONS, PAIRS, OUTPUTS = 1 << 14, 192, 1 << 12


@numba.njit
def plain_lif(
    a: Any, u: Any, v: Any, bias: Any, decays: Any, out: Any, events: Any, active: Any
) -> None:
    """One step as a loop, in 32 bits; decays are right shifts, as in the case measured below."""
    for i in range(len(a)):
        now, ui, vi, bi = a[i], u[i], v[i], bias[i]
        active[i] += np.uint8((now | ui | vi | bi) != 0)
        by_u, by_v = decays[3], decays[4]
        ui = (ui + ((ui >> 31) & ((np.int32(1) << by_u) - 1))) >> by_u
        vi = (vi + ((vi >> 31) & ((np.int32(1) << by_v) - 1))) >> by_v
        ui += np.int32(now << 6)
        if ui > (1 << 23):
            ui -= 1 << 24
        elif ui <= -(1 << 23):
            ui += 1 << 24
        vi = min(max(vi + ui + bi, -(1 << 23) + 1), (1 << 23) - 1)
        spike = vi > decays[2]
        u[i] = ui
        v[i] = 0 if spike else vi
        out[i] = spike
        events[i] += np.uint8(spike)


@numba.njit
def vector_lif(
    a: Any, u: Any, v: Any, bias: Any, decays: Any, out: Any, events: Any, active: Any
) -> None:
    """The same step by `lif_step`."""
    lif_step(
        len(a), a.ctypes.data, (0, 0), np.int64(0), u.ctypes.data, v.ctypes.data,
        bias.ctypes.data, decays, out.ctypes.data, events.ctypes.data, active.ctypes.data,
    )  # fmt: skip


@numba.njit
def plain_sum(weight: Any, apart: Any, index: Any, value: Any, ends: Any, total: Any) -> None:
    """Listed pairs of inputs times their weights, for the outputs of a tile, again and again.

    apart [pairs, 2, TILE]: the weights of a pair in two rows, which suits a loop best.
    """
    for k in range(len(total)):
        row = total[k]
        row[:] = 0
        for e in range(ends[0], ends[1]):
            low, high = np.int32(value[e] & 255), np.int32(value[e] >> 8)
            first, second = apart[index[e], 0], apart[index[e], 1]
            for o in range(TILE):
                row[o] += low * np.int32(first[o]) + high * np.int32(second[o])


@numba.njit
def vector_sum(weight: Any, apart: Any, index: Any, value: Any, ends: Any, total: Any) -> None:
    """The same by `add_taps`."""
    here = np.zeros(1, np.int32)
    for k in range(len(total)):
        add_taps(
            weight, 0, index.ctypes.data, value.ctypes.data, ends.ctypes.data, len(ends),
            len(index), here.ctypes.data, (0, 1), (0, 1), True,
            total.ctypes.data + k * total.strides[0],
        )  # fmt: skip


def neurons() -> list[Any]:
    """Arguments of a step: half of u and of v stays."""
    rng = np.random.default_rng(0)
    a, u, v, bias = (rng.integers(-99, 99, NEURONS).astype(np.int32) for _ in range(4))
    decays = np.array([2048, 2048, 100 << 6, 1, 1], np.int32)
    return [a, u, v, bias, decays, *(np.zeros(NEURONS, np.uint8) for _ in range(3))]


def sums() -> list[Any]:
    """Arguments of a sum: spikes, in pairs of channels."""
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 127, (1, 1, PAIRS, TILE, 2)).astype(np.int8)
    index = np.arange(PAIRS, dtype=np.uint16)
    value = rng.choice(np.array([1, 256, 257], np.uint16), PAIRS)
    ends = np.array([0, PAIRS], np.int64)
    apart = np.ascontiguousarray(weight[0, 0].transpose(0, 2, 1))
    return [weight, apart, index, value, ends, np.zeros((OUTPUTS, TILE), np.int32)]


def seconds(kernel: Callable[..., None], arguments: list[Any]) -> float:
    """Least CPU time of a call: other programs on the machine do not count."""
    kernel(*arguments)  # compiles
    calls = timeit.repeat(lambda: kernel(*arguments), timer=time.thread_time, number=10, repeat=40)
    return min(calls) / 10


def main() -> None:
    """Print both comparisons, after a check that the results are equal."""
    for what, plain, vector, make in (
        (f"LIF, {NEURONS:,} neurons, one step", plain_lif, vector_lif, neurons),
        (f"sum, {PAIRS} pairs onto {TILE} outputs, {OUTPUTS:,} times", plain_sum, vector_sum, sums),
    ):
        one, other = make(), make()
        plain(*one)
        vector(*other)
        assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True)), what
        slow, quick = seconds(plain, one), seconds(vector, other)
        ratio = slow / quick
        print(f"{what}: plain {1e6 * slow:,.1f} us, vector {1e6 * quick:,.1f} us, x {ratio:.1f}")


if __name__ == "__main__":
    main()
