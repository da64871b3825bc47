"""Real weights to 8-bit mantissas with exponents: several projections that share one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sfx.toolchain.arith import IntArray
from sfx.toolchain.ir.graph import FloatArray

LARGEST = {"mixed": 254, "single": 255}
"""Largest mantissa of 8-bit weights: mixed signs lose the lowest bit (semantics section 3.1)."""


@dataclass(frozen=True, eq=False)
class Mantissas:
    """Integer weights of the projections of one population.

    weights   one int64 array per projection: real weight * gain * 2**headroom, rounded
    headroom  left shifts that each projection has beyond the shared scale (its exponent is lower
              by as much)
    gain      mantissa units per 1.0 of real weight where the headroom is 0
    clipped   weights cut off at the largest mantissa
    """

    weights: tuple[IntArray, ...]
    headroom: tuple[int, ...]
    gain: float
    clipped: int

    @property
    def mixed(self) -> bool:
        """True if some projection has weights of both signs (all its mantissas are even)."""
        return any(_is_mixed(w) for w in self.weights)


def _is_mixed(w: FloatArray | IntArray) -> bool:
    return bool(w.size and w.min() < 0 < w.max())


def _limit(w: FloatArray) -> int:
    return LARGEST["mixed" if _is_mixed(w) else "single"]


def largest_gain(weights: Sequence[FloatArray]) -> float:
    """The gain at which the largest weight of all projections takes the largest mantissa."""
    gains = [_limit(w) / np.abs(w).max() for w in weights if w.size and np.abs(w).max() > 0]
    return float(min(gains)) if gains else 1.0


def mantissas(weights: Sequence[FloatArray], gain: float, exponent_span: int = 7) -> Mantissas:
    """Round `weights` at `gain`; projections with smaller weights get headroom over the largest."""
    out: list[IntArray] = []
    clipped = 0
    headroom = _headroom(weights, gain, exponent_span)
    for w, room in zip(weights, headroom, strict=True):
        scaled = w * gain * 2.0**room
        step = 2 if _is_mixed(w) else 1
        rounded = (step * np.rint(scaled / step)).astype(np.int64)
        limit = _limit(w)
        clipped += int(np.count_nonzero(np.abs(rounded) > limit))
        out.append(np.clip(rounded, -limit, limit))
    return Mantissas(tuple(out), headroom, gain, clipped)


def _headroom(weights: Sequence[FloatArray], gain: float, span: int) -> tuple[int, ...]:
    """Left shifts that each projection's range allows beyond those of the fullest one."""
    rooms: list[int | None] = []
    for w in weights:
        largest = float(np.abs(w).max()) if w.size else 0.0
        full = largest * gain > 0
        rooms.append(int(np.floor(np.log2(_limit(w) / (largest * gain)))) if full else None)
    least = max(min((r for r in rooms if r is not None), default=0), 0)
    return tuple(
        0 if r is None or r <= 0 else _enough(w, gain, min(r - least, span))
        for w, r in zip(weights, rooms, strict=True)
    )


def _enough(w: FloatArray, gain: float, most: int) -> int:
    """The smallest headroom up to `most` at which `w` is exact, else `most`."""
    return next((r for r in range(most) if _exact_at(w, gain * 2.0**r)), most)


def exact_gain(weights: Sequence[FloatArray]) -> float | None:
    """The smallest power of two at which every weight is a legal mantissa, or None."""
    for k in range(-8, 25):
        gain = 2.0**k
        if all(_exact_at(w, gain) for w in weights):
            return gain
    return None


def is_exact(weights: Sequence[FloatArray], gain: float) -> bool:
    """True if every weight is a legal mantissa at `gain`."""
    return all(_exact_at(w, gain) for w in weights)


def _exact_at(w: FloatArray, gain: float) -> bool:
    """Whole mantissas up to float64 rounding (a stream's weight is 1 / scale, times the scale)."""
    scaled = w * gain / (2 if _is_mixed(w) else 1)
    return bool(
        np.allclose(scaled, np.rint(scaled), rtol=1e-12, atol=0)
        and np.all(np.abs(w * gain) <= _limit(w))
    )


def weight_error(weights: Sequence[FloatArray], m: Mantissas) -> float:
    """rms(quantized - real) / rms(real) over all projections; 0 for all-zero weights."""
    real = np.concatenate([w.ravel() for w in weights]) if weights else np.zeros(0)
    back = [q.ravel() / (m.gain * 2.0**r) for q, r in zip(m.weights, m.headroom, strict=True)]
    quantized = np.concatenate(back) if back else np.zeros(0)
    power = float(np.sum(real**2))
    return float(np.sqrt(np.sum((quantized - real) ** 2) / power)) if power > 0 else 0.0
