"""Real weights to integer mantissas with exponents: several projections that share one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....ground.arith import IntArray
from ....ir.graph import FloatArray
from ..state.mantissas import Mantissas, WeightBits
from .ties import alike

SPAN = 7
"""Left shifts that one projection may have beyond another of the same population."""


@dataclass(frozen=True)
class Grid:
    """Legal mantissas of b-bit weights: multiples of `step` in [low, high] (semantics 3.1).

    At 8 bits held, mixed signs lose their lowest bit: b bits are multiples of 2^(9-b) in
    -256..256-2^(9-b). One sign keeps it: multiples of 2^(8-b) in 0..256-2^(8-b).
    """

    low: int
    high: int
    step: int

    @staticmethod
    def of(mixed: bool, bits: WeightBits) -> Grid:
        """The grid of one projection."""
        step = 1 << (bits.held + int(mixed) - bits.used)
        return Grid(-bits.sizes if mixed else step - bits.sizes, bits.sizes - step, step)

    def round(self, scaled: FloatArray) -> FloatArray:
        """The nearest legal mantissa (as float64)."""
        nearest: FloatArray = np.clip(self.step * np.rint(scaled / self.step), self.low, self.high)
        return nearest

    def alone(self, part: IntArray) -> IntArray:
        """The mantissas of one projection: -256 is legal beside positive ones only, because Lava
        clips one sign to 255 (of 8 bits).
        """
        positive = part.size and part.max() > 0
        return part if positive else np.maximum(part, -self.high)


def is_mixed(w: FloatArray | IntArray) -> bool:
    """True if weights of both signs occur."""
    return bool(w.size and w.min() < 0 < w.max())


def largest_mantissa(w: FloatArray | IntArray, bits: WeightBits) -> int:
    """The largest magnitude that both signs of `w` can take."""
    return Grid.of(is_mixed(w), bits).high


def largest_gain(weights: Sequence[FloatArray], bits: WeightBits) -> float:
    """The gain at which the largest weight of all projections takes the largest mantissa."""
    tops = [(largest_mantissa(w, bits), np.abs(w).max()) for w in weights if w.size]
    return float(min((limit / top for limit, top in tops if top > 0), default=1.0))


def mantissas(
    weights: Sequence[FloatArray],
    gain: float,
    bits: WeightBits,
    headrooms: Sequence[IntArray] | None = None,
) -> Mantissas:
    """Round `weights` to the nearest at `gain`.

    headrooms  of every output channel of each wire ([O] or []); default: one for the wire,
           so that projections with smaller weights get headroom over the largest.
    """
    if headrooms is None:
        headrooms = [np.array(headroom) for headroom in shared_headroom(weights, gain, bits)]
    clipped = 0
    scaled: list[FloatArray] = []
    for w, headroom in zip(weights, headrooms, strict=True):
        exact = w * gain * 2.0 ** column(headroom, w)
        grid = grid_of(w, bits)
        rounded = grid.round(exact)
        clipped += int(np.count_nonzero(np.abs(rounded - exact) > grid.step / 2 + 1e-9))
        scaled.append(rounded)
    return assemble(weights, scaled, headrooms, gain, bits, clipped)


def assemble(
    weights: Sequence[FloatArray],
    scaled: Sequence[FloatArray],
    headrooms: Sequence[IntArray],
    gain: float,
    bits: WeightBits,
    clipped: int,
) -> Mantissas:
    """Mantissas from whole numbers per wire: one part for each headroom of its channels."""
    parts: list[tuple[IntArray, int, int]] = []
    for i, (w, q, headroom) in enumerate(zip(weights, scaled, headrooms, strict=True)):
        grid = grid_of(w, bits)
        used = np.unique(
            headroom[np.any(q.reshape(len(q), -1) != 0, axis=1)] if headroom.ndim else headroom
        )
        for r in used if used.size else np.zeros(1, np.int64):
            kept = np.where(column(headroom, q) == r, q, 0).astype(np.int64)
            parts.append((grid.alone(kept), int(r), i))
    made, shifts, wires = zip(*parts, strict=True) if parts else ((), (), ())
    return Mantissas(tuple(made), tuple(shifts), tuple(wires), gain, clipped)


def grid_of(w: FloatArray, bits: WeightBits) -> Grid:
    """The grid of a projection with real weights `w`.

    A pattern of one weight takes one word of memory whatever its bits: it keeps them all.
    """
    return Grid.of(is_mixed(w), bits.every if w.size == 1 else bits)


def column(headroom: IntArray, w: FloatArray) -> IntArray:
    """Per-channel values shaped to broadcast over the weights of each channel."""
    return headroom if np.ndim(headroom) == 0 else headroom.reshape(-1, *[1] * (w.ndim - 1))


def shared_headroom(
    weights: Sequence[FloatArray], gain: float, bits: WeightBits
) -> tuple[int, ...]:
    """Left shifts that each projection's range allows beyond those of the fullest one."""
    headrooms: list[int | None] = []
    every = bits.every
    for w in weights:
        largest = float(np.abs(w).max()) if w.size else 0.0
        full = largest * gain > 0
        top = largest_mantissa(w, every)
        headrooms.append(int(np.floor(np.log2(top / (largest * gain)))) if full else None)
    least = max(min((r for r in headrooms if r is not None), default=0), 0)
    return tuple(
        0 if r is None or r <= 0 else _enough(w, gain, min(r - least, SPAN), every)
        for w, r in zip(weights, headrooms, strict=True)
    )


def _enough(w: FloatArray, gain: float, most: int, bits: WeightBits) -> int:
    """The smallest headroom up to `most` at which `w` is exact, else `most`."""
    return next((r for r in range(most) if _exact_at(w, gain * 2.0**r, bits)), most)


def exact_gain(weights: Sequence[FloatArray], bits: WeightBits) -> float | None:
    """The smallest power of two at which every weight is a legal mantissa, or else the smallest
    gain of any kind (weights that are whole multiples of one number), or None.
    """
    for k in range(-8, 25):
        gain = 2.0**k
        if all(_exact_at(w, gain, bits) for w in weights):
            return gain
    return shared_gain(weights, bits)


def shared_gain(weights: Sequence[FloatArray], bits: WeightBits) -> float | None:
    """The smallest gain at which whole multiples of one number are legal mantissas.

    None where there is no such number, up to float32 rounding, within the mantissas' range.
    """
    sizes = [np.unique(np.abs(w)) for w in weights]
    values = np.unique(np.concatenate(sizes)) if sizes else np.zeros(0)
    values = values[values > 0]
    most = bits.sizes
    if not values.size or values.size > most or values[-1] > most * values[0]:
        return None
    step = max(grid_of(w, bits).step for w in weights)
    for times in range(1, int(most * values[0] / values[-1]) + 1):
        multiple = values * (times / values[0])
        if alike(multiple, np.rint(multiple)):
            gain = step * float(np.rint(multiple[-1])) / float(values[-1])
            return gain if is_exact(weights, gain, bits) else None
    return None


def is_exact(weights: Sequence[FloatArray], gain: float, bits: WeightBits) -> bool:
    """True if every weight is a legal mantissa at `gain`."""
    return all(_exact_at(w, gain, bits) for w in weights)


def _exact_at(w: FloatArray, gain: float, bits: WeightBits) -> bool:
    """Whole mantissas up to float32 rounding."""
    grid = grid_of(w, bits)
    scaled = w * gain / grid.step
    return bool(
        alike(scaled, np.rint(scaled)) and np.all(np.abs(np.rint(scaled)) * grid.step <= grid.high)
    )


def weight_error(weights: Sequence[FloatArray], m: Mantissas) -> float:
    """rms(quantized - real) / rms(real) over all projections; 0 for all-zero weights."""
    real = np.concatenate([w.ravel() for w in weights]) if weights else np.zeros(0)
    back = [q.ravel() / m.gain for q in m.values()]
    quantized = np.concatenate(back) if back else np.zeros(0)
    power = float(np.sum(real**2))
    return float(np.sqrt(np.sum((quantized - real) ** 2) / power)) if power > 0 else 0.0


def dead_weights(weights: Sequence[FloatArray], m: Mantissas) -> int:
    """Real weights other than 0 whose mantissa is 0."""
    pairs = zip(weights, m.values(), strict=True)
    return sum(int(np.count_nonzero((w != 0) & (q == 0))) for w, q in pairs)
