"""Numbers as sums of 8-bit mantissas with exponents, where one mantissa is too coarse.

A projection holds 8-bit weights and one exponent. Two projections between the same populations add
up, so a second one can carry what rounding left over: 15 bits for twice the synapses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ....ground.arith import IntArray
from ....ir.graph import FloatArray
from .mantissa import is_mixed, largest_mantissa
from .ties import alike

HIGHEST = 7
"""Largest exponent of a projection (integer semantics 3.1)."""
ENOUGH = 0.01
"""Relative rms error from which a second term is worth its synapses."""
BLOCK = 127 << 8
"""Largest number that one term (a multiple of 256) or two terms (any) carry."""


@dataclass(frozen=True, eq=False)
class Term:
    """weight << exponent, legal 8-bit mantissas."""

    weight: IntArray
    exponent: int

    @property
    def value(self) -> FloatArray:
        """The numbers it stands for."""
        exact: FloatArray = self.weight * 2.0**self.exponent
        return exact


def weight_terms(w: FloatArray, scale: float) -> tuple[Term, ...] | None:
    """w * scale, rounded to whole numbers: one term where that misses less than `ENOUGH`, else two.

    None if some are too large. No exponent is negative: it would round every sum down, and a
    membrane adds that up.
    """
    largest = float(np.abs(w).max(initial=0.0)) * scale
    if largest > BLOCK:
        return None
    wanted = w * scale
    single = _exact(wanted) or _nearest(wanted)
    missing = float(np.sum((wanted - single.value) ** 2))
    if missing <= ENOUGH**2 * float(np.sum(wanted**2)):
        return (single,)
    return _split(np.rint(wanted).astype(np.int64))


def whole_terms(whole: IntArray) -> tuple[Term, ...] | None:
    """Whole-number weights, exactly; None if some are too large.

    Odd weights of both signs are a term for each sign, so that bounds of their sums stay tight.
    """
    largest = np.abs(whole).max(initial=0)
    if largest > BLOCK:
        return None
    single = _exact(whole.astype(np.float64))
    if single is not None:
        return (single,)
    if largest <= largest_mantissa(np.abs(whole)):
        return (Term(np.maximum(whole, 0), 0), Term(np.minimum(whole, 0), 0))
    return _split(whole)


def _split(whole: IntArray) -> tuple[Term, ...]:
    """Even mantissas for the high bits, and what is left as a term of one sign (0..255)."""
    bits = max(1, int(np.abs(whole).max(initial=0)).bit_length() - 7)
    high, low = whole >> bits, whole & ((1 << bits) - 1)
    terms = (Term(2 * high, bits - 1), Term(low, 0))
    return tuple(t for t in terms if t.weight.any()) or terms[:1]


def constant_terms(values: IntArray) -> tuple[Term, ...]:
    """Whole numbers, exactly; zeros give no term."""
    rest = values.astype(np.int64)
    out: list[Term] = []
    while np.abs(rest).max(initial=0) > BLOCK:
        part = np.clip(rest, -BLOCK, BLOCK) >> 8 << 8
        out.append(Term(part >> HIGHEST, HIGHEST))
        rest = rest - part
    if not rest.any():
        return tuple(out)
    single = _exact(rest.astype(np.float64))
    if single is not None:
        return (*out, single)
    high, low = rest >> 8 << 8, rest & 255
    return (*out, *(Term(w, e) for w, e in ((high >> HIGHEST, HIGHEST), (low, 0)) if w.any()))


def error(w: FloatArray, scale: float, terms: tuple[Term, ...]) -> FloatArray:
    """What the terms miss of w, in units of w."""
    missing: FloatArray = w - sum(t.value for t in terms) / scale
    return missing


def _nearest(wanted: FloatArray) -> Term:
    """The smallest exponent whose mantissas hold the largest weight."""
    candidates = (Term(_round(wanted, e), e) for e in range(HIGHEST + 1))
    return next(
        t for t in candidates if np.abs(t.weight).max(initial=0) <= largest_mantissa(wanted)
    )


def _exact(wanted: FloatArray) -> Term | None:
    for exponent in range(HIGHEST + 1):
        w = _round(wanted, exponent)
        fits = np.abs(w).max(initial=0) <= largest_mantissa(wanted)
        if fits and alike(w * 2.0**exponent, wanted):
            return Term(w, exponent)
    return None


def _round(wanted: FloatArray, exponent: int) -> IntArray:
    """Nearest mantissas; even where signs mix, since Lava drops their lowest bit."""
    step = 2 if is_mixed(wanted) else 1
    rounded: IntArray = (step * np.rint(wanted * 2.0**-exponent / step)).astype(np.int64)
    return rounded
