"""What hard and soft cells share: the sum of what arrives from outside, and the record."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ....ground.arith import IntArray
from ....ir import program as p
from ..fit.real import RealCell
from ..fit.terms import ENOUGH, Term, error, weight_terms
from ..fit.ties import alike
from ..state.origins import times
from ..state.quantizer_state import own_weight
from .draft import Draft, Origin

Terms = tuple[tuple[Term, ...], ...]
"""Of every wire of a node, its weights."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One attempt that fits.

    origins    of the projections that carry weights and biases of the model
    scale      integer membrane units per 1.0 of v
    bits       that a weight takes
    threshold  in units of what is compared with it
    soft       its reset subtracts
    fires      the population that decides on spikes, if it is not the node's own
    silent     populations that a clock silences at a sample's last step
    roughness  what rounding does to v per step, relative to the threshold: to choose by
    """

    populations: tuple[p.Population, ...]
    projections: tuple[p.Projection, ...]
    origins: tuple[Origin, ...]
    scale: float
    exact: bool
    weight_error: float
    bits: int
    dead: int
    threshold_error: float
    decay_error: float
    threshold: int
    roughness: float = 0.0
    silent: tuple[str, ...] = ()
    soft: bool = False
    fires: str = ""


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of all wires of a node, each at its own scale."""

    terms: Terms
    scales: tuple[float, ...]

    def dead(self, real: RealCell) -> int:
        """Weights that became 0 and were not."""
        values = (sum(t.value for t in terms) for terms in self.terms)
        pairs = zip(real.weights, values, strict=True)
        return sum(int(np.count_nonzero((w != 0) & (v == 0))) for w, v in pairs)

    def exact(self, real: RealCell) -> bool:
        """Nothing was rounded but float32 numbers to what they stand for."""
        rows = zip(real.weights, self.scales, self.terms, strict=True)
        return all(alike(sum(t.value for t in terms), w * s) for w, s, terms in rows)

    def error(self, real: RealCell) -> float:
        """rms(integer - real) / rms(real) over all wires."""
        rows = zip(real.weights, self.scales, self.terms, strict=True)
        lost = sum(float(np.sum(error(w, s, t) ** 2)) for w, s, t in rows)
        power = sum(float(np.sum(w**2)) for w in real.weights)
        return float(np.sqrt(lost / power)) if power > 0 else 0.0


def all_weights(draft: Draft, real: RealCell, scale: float, finer: int = 0) -> Weights | None:
    """At `scale`, those from outside at scale << finer; None if some are too large for it.

    Where ranges are measured two terms, always: 8-bit weights of 1 % error moved a third of the
    spikes of an IF that adds 2304 inputs up, two terms none (tests/unit/quantize/test_ranges.py).
    """
    enough = ENOUGH if draft.seen is None else 0.0
    own = [draft.is_own(w) for w in draft.inputs.wires]
    scales = tuple(scale if mine else scale * 2.0**finer for mine in own)
    widths = draft.state.arithmetic
    bits = draft.state.bits_of(draft.node)
    rounded = real.rounded or (None,) * len(scales)
    found = [
        weight_terms(w, s, widths, bits, enough, r)
        for w, s, r in zip(real.weights, scales, rounded, strict=True)
    ]
    held = tuple(
        tuple(replace(t, scale=s * times(w, own_weight(wire))) for t in terms)
        for terms, w, s, wire in zip(found, real.weights, scales, draft.inputs.wires, strict=True)
        if terms is not None
    )
    return Weights(held, scales) if len(held) == len(found) else None


def outside(
    draft: Draft,
    weights: Weights,
    constant: IntArray,
    scale: float,
    threshold: float,
    half: int = 0,
) -> str:
    """A graded population that sums what arrives from other nodes, and a constant; its name.

    scale: units of what it sends per 1.0 of v, of which `threshold` is one threshold; half: what of
    the constant is there for rounding.
    """
    name = f"{draft.node.name}.input"
    for wire, bare, t in zip(draft.inputs.wires, draft.inputs.bare, weights.terms, strict=True):
        if not draft.is_own(wire):
            draft.wire(wire, bare, t, name)
    draft.bias(name, constant, threshold * scale, half)
    ends = draft.reach(name)
    proven = int(ends.low.min(initial=0)), int(ends.high.max(initial=0))
    seen = proven if draft.seen is None else (draft.seen.x[0] * scale, draft.seen.x[1] * scale)
    return draft.add_graded("input", p.Graded(), proven, seen)


def low_bits(values: IntArray) -> int:
    """Zero bits at the low end of all values together; 62 if all are 0."""
    together = int(np.bitwise_or.reduce(np.abs(values).ravel(), initial=0))
    return (together & -together).bit_length() - 1 if together else 62
