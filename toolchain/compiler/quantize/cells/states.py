"""What holds a membrane and a current: their factors, bounds and constants, in units of M."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ground.arith import IntArray
from ....ir.bound import Bound
from ....ir.neurons.product import PRODUCT_LIMIT
from ..fit.real import RealCell
from ..fit.ties import alike
from .draft import Draft, IntEnds
from .seen import Seen
from .terms import Weights, low_bits

Integers = tuple[tuple[IntArray, IntArray], int, int]
"""(constant through the current, constant into v), decayed drop, first."""
LEAST_DECAY_BITS = 6
"""Of a factor that is not exact; the most are those of the target's decays."""


@dataclass(frozen=True)
class Keep:
    """A factor in 0..1 as number / 2**bits, or as what is missing of 1, if it `leaks`."""

    number: int
    bits: int
    leaks: bool = False

    @property
    def value(self) -> float:
        """The factor itself."""
        part = self.number / 2.0**self.bits
        return 1 - part if self.leaks else part

    @property
    def lost(self) -> int:
        """Low bits that one multiplication needs to be exact."""
        return self.bits - min(low_bits(np.array([self.number])), self.bits)


def full(draft: Draft, values: IntArray) -> IntArray:
    """One value for each neuron."""
    return np.broadcast_to(values, (draft.size,)).astype(np.int64)


def integers_of(real: RealCell, scale: float) -> Integers:
    """The constants at `scale`."""
    through = real.bias_i if real.keep_i else real.bias_i + real.bias_v
    into_v = np.asarray(real.bias_v if real.keep_i else 0.0)
    constants = tuple(np.rint(np.asarray(c) * scale).astype(np.int64) for c in (through, into_v))
    drop, first = (int(np.rint(c * scale)) for c in (real.keep_v * real.drop, real.first))
    return (constants[0], constants[1]), drop, first


@dataclass(frozen=True)
class Ends:
    """Least and greatest i and v over all neurons and the steps of a sample."""

    i: tuple[float, float]
    v: tuple[float, float]

    @property
    def most(self) -> float:
        """The greatest magnitude."""
        return max(abs(e) for e in (*self.i, *self.v))

    def within(self, seen: Seen, scale: float) -> Ends:
        """The ends that were seen, where these are further out."""
        i, v = (
            (max(worst[0], low * scale), min(worst[1], high * scale))
            for worst, (low, high) in ((self.i, seen.i), (self.v, seen.v))
        )
        return Ends(i, v)


def ends_of(
    draft: Draft, real: RealCell, x: Bound, bias: IntArray, drop: int, first: int, scale: float
) -> Ends:
    """The recursion on the bounds of what arrives; each rounding takes off less than 1."""
    threshold = real.threshold * scale
    shed = drop / real.keep_v if real.keep_v else 0.0
    i = np.zeros((2, draft.size))
    v = np.zeros((2, draft.size))
    all_i, all_v = np.zeros(2), np.zeros(2)
    for t in range(draft.state.graph.timesteps):
        i = real.keep_i * i + np.stack([x.low - 1.0, x.high])
        kept = real.keep_v * np.stack(
            [
                np.minimum(v[0], threshold - shed),
                np.maximum(v[1] - shed, np.minimum(v[1], threshold)),
            ]
        )
        v = kept + i + bias + np.array([[-1.0], [1.0]]) + (first if t == 0 else 0)
        all_i = np.array([min(all_i[0], i[0].min()), max(all_i[1], i[1].max())])
        all_v = np.array([min(all_v[0], v[0].min()), max(all_v[1], v[1].max())])
    return Ends((all_i[0], all_i[1]), (all_v[0], all_v[1]))


def keep_of(factor: float, most: float, finest: int) -> Keep | None:
    """The fewest bits that are exact, else as many as the 32-bit product of `most` has room for."""
    for bits in range(finest + 1):
        if factor * 2.0**bits == np.rint(factor * 2.0**bits):
            return Keep(int(factor * 2.0**bits), bits)
    for bits in range(finest, LEAST_DECAY_BITS - 1, -1):
        number = int(np.rint(factor * 2.0**bits))
        if most * number < PRODUCT_LIMIT:
            return Keep(number, bits)
    return None


def sent_of(ends: tuple[float, float], keep: Keep) -> IntEnds:
    """What the gate lets through of values in `ends`."""
    low, high = (int(np.floor(e * keep.value)) - 1 for e in ends)
    return low, high + 2


def grain_of(
    draft: Draft,
    real: RealCell,
    weights: Weights,
    scale: float,
    keeps: tuple[Keep, Keep],
    integers: Integers,
) -> float | None:
    """The step in which every v of a sample lies, in units of M; None if anything is rounded."""
    (constant, into_v), drop, first = integers
    real_numbers = (
        (constant, (real.bias_i if real.keep_i else real.bias_i + real.bias_v) * scale),
        (into_v, (real.bias_v if real.keep_i else 0.0) * scale),
        (drop, real.keep_v * real.drop * scale),
        (first, real.first * scale),
        (keeps[0].value, real.keep_v),
        (keeps[1].value, real.keep_i),
    )
    if not all(alike(a, b) for a, b in real_numbers) or not weights.exact(real):
        return None
    values = [t.weight << t.exponent for w in weights.terms for t in w]
    values += [np.asarray(c) for c in (constant, into_v, drop, first)]
    bits = min(low_bits(v) for v in values)
    bits -= max(k.lost for k in keeps) * (draft.state.graph.timesteps - 1)
    return 2.0**bits if bits >= 0 else None
