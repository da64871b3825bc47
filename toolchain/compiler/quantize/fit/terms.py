"""Numbers as sums of mantissas with exponents, where one mantissa is too coarse.

A projection of Loihi's widths holds 8-bit weights and one exponent. Two projections between the
same populations add up, so a second one can carry what rounding left over: 15 bits for twice the
synapses.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ....ground.arith import IntArray
from ....ground.arithmetic import Arithmetic
from ....ir.graph import FloatArray
from ..state.mantissas import WeightBits
from .mantissa import Grid, is_mixed, largest_mantissa
from .ties import alike

ENOUGH = 0.01
"""Relative rms error from which a second term is worth its synapses."""


NO_ERROR = 1e-6
"""Of a mantissa: what float64 leaves of one that is whole."""


@dataclass(frozen=True, eq=False)
class Term:
    """weight << exponent, legal mantissas.

    scale  of a layer's weights: what its terms together are times those, 0 where nobody asks
    """

    weight: IntArray
    exponent: int
    scale: float = 0.0

    @property
    def value(self) -> FloatArray:
        """The numbers it stands for."""
        exact: FloatArray = self.weight * 2.0**self.exponent
        return exact


def block_bits(widths: Arithmetic) -> int:
    """Low bits that one term may leave to another: as many as a mantissa of one sign holds and
    the largest exponent reaches; 8 at Loihi's widths.
    """
    return min(widths.weight_bits, widths.weight_exp[1] + 1)


def block(widths: Arithmetic) -> int:
    """Largest number that one term (a multiple of 2^block_bits) or two terms (any) carry:
    127 << 8 at Loihi's widths.
    """
    return (widths.weight_limit // 2 - 1) << block_bits(widths)


def weight_terms(
    w: FloatArray,
    scale: float,
    widths: Arithmetic,
    bits: WeightBits,
    enough: float = ENOUGH,
    rounded: FloatArray | None = None,
) -> tuple[Term, ...] | None:
    """w * scale, rounded to whole numbers: one term where that misses less than `enough`, else two.
    Of fewer bits than a synapse holds it is one, whatever it misses; `rounded` weights in their
    place are one for each exponent that their rows need.

    None if some are too large. No exponent is negative: it would round every sum down, and a
    membrane adds that up.
    """
    largest = float(np.abs(w).max(initial=0.0)) * scale
    if largest > block(widths):
        return None
    wanted = w * scale
    if bits.used < bits.held and w.size > 1:
        if rounded is not None:
            return _by_rows(rounded * scale, widths, Grid.of(is_mixed(w), bits))
        found = _of_bits(wanted, widths, bits)
        return None if found is None else (found,)
    single = _exact(wanted, widths) or _nearest(wanted, widths)
    missing = float(np.sum((wanted - single.value) ** 2))
    if missing <= enough**2 * float(np.sum(wanted**2)):
        return (single,)
    return split(np.rint(wanted).astype(np.int64), widths)


def stored_bits(terms: Iterable[tuple[Term, ...]], bits: WeightBits) -> int:
    """Bits that a weight takes, the most of all wires: two terms hold those of both."""
    if bits.used < bits.held:
        return bits.used
    found = (t[0].exponent - t[1].exponent + 1 for t in terms if len(t) == 2)
    return max((bits.held + low for low in found), default=bits.used)


def whole_terms(whole: IntArray, widths: Arithmetic) -> tuple[Term, ...] | None:
    """Whole-number weights, exactly; None if some are too large.

    Odd weights of both signs are a term for each sign, so that bounds of their sums stay tight.
    """
    largest = np.abs(whole).max(initial=0)
    if largest > block(widths):
        return None
    single = _exact(whole.astype(np.float64), widths)
    if single is not None:
        return (single,)
    if largest <= _largest(np.abs(whole), widths):
        return (Term(np.maximum(whole, 0), 0), Term(np.minimum(whole, 0), 0))
    return split(whole, widths)


def split(whole: IntArray, widths: Arithmetic) -> tuple[Term, ...]:
    """Even mantissas for the high bits, and what is left as a term of one sign (0..255)."""
    half = widths.weight_limit // 2
    bits = max(1, int(np.abs(whole).max(initial=0)).bit_length() + 1 - half.bit_length())
    if whole.max(initial=0) <= 0 and int(whole.min(initial=0)) >> bits == -half:
        bits += 1  # -256 is a mantissa beside positive ones only
    high, low = whole >> bits, whole & ((1 << bits) - 1)
    terms = (Term(2 * high, bits - 1), Term(low, 0))
    return tuple(t for t in terms if t.weight.any()) or terms[:1]


def constant_terms(values: IntArray, widths: Arithmetic) -> tuple[Term, ...]:
    """Whole numbers, exactly; zeros give no term."""
    rest = values.astype(np.int64)
    out: list[Term] = []
    most, bits = block(widths), block_bits(widths)
    while np.abs(rest).max(initial=0) > most:
        part = np.clip(rest, -most, most) >> bits << bits
        out.append(Term(part >> (bits - 1), bits - 1))
        rest = rest - part
    if not rest.any():
        return tuple(out)
    single = _exact(rest.astype(np.float64), widths)
    if single is not None:
        return (*out, single)
    high, low = rest >> bits << bits, rest & ((1 << bits) - 1)
    parts = ((high >> (bits - 1), bits - 1), (low, 0))
    return (*out, *(Term(w, e) for w, e in parts if w.any()))


def error(w: FloatArray, scale: float, terms: tuple[Term, ...]) -> FloatArray:
    """What the terms miss of w, in units of w."""
    missing: FloatArray = w - sum(t.value for t in terms) / scale
    return missing


def _largest(w: FloatArray | IntArray, widths: Arithmetic) -> int:
    bits = WeightBits(widths.weight_bits, widths.weight_bits)
    return largest_mantissa(w, bits)


def _nearest(wanted: FloatArray, widths: Arithmetic) -> Term:
    """The smallest exponent whose mantissas hold the largest weight."""
    candidates = (Term(_round(wanted, e), e) for e in range(widths.weight_exp[1] + 1))
    most = _largest(wanted, widths)
    return next(t for t in candidates if np.abs(t.weight).max(initial=0) <= most)


def _of_bits(wanted: FloatArray, widths: Arithmetic, bits: WeightBits) -> Term | None:
    """The nearest of these bits, at the smallest exponent whose mantissas hold the largest; None
    if there is none.
    """
    grid = Grid.of(is_mixed(wanted), bits)
    largest = float(np.abs(wanted).max(initial=0.0))
    most = grid.high + grid.step / 2
    fits = (e for e in range(widths.weight_exp[1] + 1) if largest <= most * 2.0**e)
    exponent = next(fits, None)
    if exponent is None:
        return None
    mantissas = grid.alone(grid.round(wanted * 2.0**-exponent).astype(np.int64))
    return Term(mantissas, exponent)


def _by_rows(wanted: FloatArray, widths: Arithmetic, grid: Grid) -> tuple[Term, ...] | None:
    """Rows [O, ...] that are mantissas at some exponent each: one term for as few as there can be.

    None if a row is none at any exponent.
    """
    rows, exponents = wanted.reshape(len(wanted), -1), np.arange(widths.weight_exp[1] + 1)
    scaled = rows * 2.0 ** -exponents[:, None, None]
    whole = grid.round(scaled)
    legal = (np.abs(whole - scaled) < NO_ERROR * grid.step).all(axis=2)
    left = np.ones(len(rows), np.bool_)
    if not legal.any(axis=0).all():
        return None
    terms: list[Term] = []
    while left.any():
        last = int(np.where(legal, exponents[:, None], -1).max(axis=0)[left].min())
        mine = left & legal[last]
        kept = np.where(mine[:, None], whole[last], 0).astype(np.int64)
        terms.append(Term(grid.alone(kept).reshape(wanted.shape), last))
        left &= ~mine
    return tuple(terms)


def _exact(wanted: FloatArray, widths: Arithmetic) -> Term | None:
    most = _largest(wanted, widths)
    for exponent in range(widths.weight_exp[1] + 1):
        w = _round(wanted, exponent)
        fits = np.abs(w).max(initial=0) <= most
        if fits and alike(w * 2.0**exponent, wanted):
            return Term(w, exponent)
    return None


def _round(wanted: FloatArray, exponent: int) -> IntArray:
    """Nearest mantissas; even where signs mix, since Lava drops their lowest bit."""
    step = 2 if is_mixed(wanted) else 1
    rounded: IntArray = (step * np.rint(wanted * 2.0**-exponent / step)).astype(np.int64)
    return rounded
