"""What parallel spiking neurons (`TimeMap`) compare with 0, and how far rounding may move it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ir import graph as g
from ...toolchain.ir.graph import FloatArray


def sums(op: g.TimeMap, x: NDArray[Any]) -> FloatArray:
    """h [T, ...] of currents x [T, ...], in float64."""
    h: FloatArray = _mapped(op.weight, op.bias, x.astype(np.float64))
    return h


def error(op: g.TimeMap, x: NDArray[Any], unit: float, received: float) -> FloatArray:
    """How far torch's h may be from `sums` by rounding alone, currents being off by `received`."""
    sizes = _mapped(np.abs(op.weight), np.abs(op.bias), np.abs(x.astype(np.float64)))
    moved = np.abs(op.weight).sum(axis=1) * received
    terms = len(op.bias) + 2  # products and the bias; the constants themselves are rounded, too
    off: FloatArray = terms * unit * sizes + moved.reshape(-1, *[1] * (x.ndim - 1))
    return off


def rounded(op: g.TimeMap, x: NDArray[Any]) -> NDArray[np.bool_]:
    """Where rounding took place at all, [T, ...]: elsewhere no order of operations makes a tie."""
    kind = x.dtype.type
    if kind is np.float64:  # nothing finer to compare with
        return np.ones(x.shape, bool)
    single = _mapped(op.weight.astype(kind), op.bias.astype(kind), x)
    changed: NDArray[np.bool_] = single.astype(np.float64) != sums(op, x)
    return changed


def _mapped(weight: NDArray[Any], bias: NDArray[Any], x: NDArray[Any]) -> Any:
    return np.tensordot(weight, x, (1, 0)) + bias.reshape(-1, *[1] * (x.ndim - 1))
