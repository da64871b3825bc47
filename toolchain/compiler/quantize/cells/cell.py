"""Neurons that one LIF population does not say: a current, a subtracting reset, loops, a start.

A scale is tried from fine to coarse; the first whose registers provably hold is taken (soft cells:
the one whose rounding disturbs least). Where none holds the worst case, what the states reached on
the calibration data bounds them, with a margin (`seen`). Weights are split in two projections
where one is too coarse, since a loop feeds its errors back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from ....ground.arith import IntArray
from ....ir import facts as f
from ....ir import graph as g
from ....ir import program as p
from ....ir.record import LayerRecord
from ....ir.wires import Wire
from ..fit.mantissa import exact_gain, largest_gain
from ..fit.no_scale import Fits, no_scale
from ..fit.real import RealCell, real_cell
from ..fit.terms import block
from ..state.mantissas import WeightBits
from ..state.matched import fields_of
from ..state.memory import memory_bits
from ..state.quantizer_state import QuantizerState, inputs_of
from .calibrated import calibrated
from .compared import compared_cell, leaking_cell
from .draft import Draft
from .few_bits import few_bits
from .hard import hard_cell
from .run import values
from .seen import Seen, seen
from .soft import soft_cell
from .terms import Cell

FINEST, COARSEST = 18, -18
"""Powers of two of the scale that are tried."""
LEAST_THRESHOLD = 16
"""Units of a threshold below which a rounded model would not be the same neuron any more."""

MOST_TRIED = 4
"""Scales that are compared on the data, those first whose rounding should disturb least."""
WORTH = 1.1
"""Times as many wrong spikes from which a range that is measured is worth it."""
FEW_WRONG = 0.005
"""Of the spikes: where no more are wrong, nothing better is looked for."""
WORTH_A_POPULATION = 1.5
"""Times as many expected wrong spikes from which more bits of a decay are worth a population."""
WORST_WEIGHTS = 0.25
"""Relative rms error of the weights from which it would not be the same net."""


Make = Callable[[Draft, RealCell, float], Cell | None]
"""The populations of a node at a scale; None if a register could overflow."""


class NeedsRanges(Exception):
    """A neuron's worst case fits no register, and ranges were not to be measured so far."""


def add_cell(state: QuantizerState, node: g.Node, wires: list[Wire]) -> None:
    """The populations, projections and record of one neuron node.

    Raises UnsupportedError: SFX-E309 for a threshold below the reset, SFX-E310 if no scale fits.
    """
    inputs = inputs_of(state, node, wires)
    draft = Draft(state, node, inputs)
    real = real_cell(node, inputs)
    streams = [state.streams[w.source].scale for w in wires if w.source in state.streams]
    base = streams[0] if streams else _base(state, real, state.bits_of(node))
    cell = _best(draft, real, base)
    target = state.target(node.name)
    measured: dict[str, Any] = {}
    if target is not None:
        mine = values(state, node.name, cell, state.sent)
        cell = _with_seen(cell, mine)
        alone = values(state, node.name, cell, {w.source: state.as_sent(w.source) for w in wires})
        state.sent[node.name] = mine[node.name].astype(np.uint8)
        measured = fields_of(target, alone[node.name], mine[node.name])
        state.listen(node.name, target, mine[node.name])
    state.populations.extend(cell.populations)
    state.projections.extend(cell.projections)
    for origin in cell.origins:
        origin.note(state)
    if cell.silent:
        gather = f"{node.name}.input"
        found = gather if any(q.name == gather for q in cell.populations) else ""
        state.facts.append(f.Cell(cell.fires or node.name, found, tuple(sorted(cell.silent))))
    state.records.append(
        LayerRecord(
            node.name,
            cell.scale,
            cell.bits,
            cell.exact,
            0,
            cell.weight_error,
            cell.threshold_error,
            cell.decay_error,
            dead=cell.dead,
            memory_bits=memory_bits(cell.projections, state.arithmetic),
            **measured,
        )
    )


def _base(state: QuantizerState, real: RealCell, bits: WeightBits) -> float:
    """What powers of two multiply: the scale at which the weights are whole, if there is one."""
    gain = exact_gain(real.weights, bits)
    if gain is None and bits.used < bits.held:
        gain = largest_gain(real.weights, bits)
    return gain or 1.0


def _fullest(draft: Draft, real: RealCell, base: float) -> float:
    """`base`, but where nothing asks for it the scale whose largest weight takes all the bits of
    two mantissas, at some power of two.
    """
    state = draft.state
    largest = max((float(np.abs(w).max(initial=0)) for w in real.weights), default=0.0)
    fixed = any(w.source in state.streams for w in draft.inputs.wires)
    bits = state.bits_of(draft.node)
    if fixed or not largest or bits.used < bits.held or exact_gain(real.weights, bits):
        return base
    return block(state.arithmetic) / largest


def _best(draft: Draft, real: RealCell, base: float) -> Cell:
    """The cell whose registers hold the worst case, else what was seen with a margin."""
    if draft.node.op.unit:  # type: ignore[attr-defined]  # a LIF or IF, see real_cell
        found = _prescribed(draft, real)
    else:
        found = _fitted(draft, real) or _at_some_scale(draft, real, base)
    if found is None:
        raise no_scale(draft.state, draft.inputs, real, _fits(draft))
    return found


def _fitted(draft: Draft, real: RealCell) -> Cell | None:
    """With weights of few bits that are fitted to data; None if there are none, or no scale holds
    the exponents of even one grid for all rows.
    """
    for few in few_bits(draft.state, draft.inputs, real):
        with suppress(NeedsRanges):
            found = _at_some_scale(draft, few, few.gain)
            if found is not None:
                return found
    return None


def _at_some_scale(draft: Draft, real: RealCell, base: float) -> Cell | None:
    """Raises NeedsRanges where only data can tell, and the net was to be proved so far."""
    proved = _smoothest(_at_scales(_plain(real), draft, real, base))
    if proved is not None and not draft.state.measuring:
        return proved
    if draft.may_measure and not draft.state.measuring:
        raise NeedsRanges
    compared = _smoothest(_at_scales(compared_cell, draft, real, base)) if real.subtract else None
    if not draft.may_measure:
        return compared
    reached = seen(draft.state, draft.inputs, real)
    by_proof = [c for c in (proved, compared) if c is not None]
    return _best_on_data(draft, real, reached, by_proof, base)


def _best_on_data(
    draft: Draft, real: RealCell, reached: Seen, proved: list[Cell], base: float
) -> Cell | None:
    """A proved cell, unless one with measured ranges makes clearly fewer wrong spikes."""

    def wrong(cell: Cell) -> int:
        sent = values(draft.state, draft.node.name, cell, draft.state.sent)[draft.node.name]
        return int(np.count_nonzero(sent != reached.spikes))

    few = FEW_WRONG * np.count_nonzero(reached.spikes)
    safe = min(proved, key=wrong, default=None)
    if safe is not None and (safe.exact or wrong(safe) <= few):
        return safe
    measured = draft.fresh(reached)
    if real.subtract:
        best = _least_drift(measured, real, reached, base, lambda cell: wrong(cell) <= few)
    else:
        best = min(_finest(hard_cell, measured, real, base), key=wrong, default=None)
    if safe is None or best is None:
        return best or safe
    return best if wrong(best) * WORTH < wrong(safe) else safe


def _least_drift(
    draft: Draft, real: RealCell, reached: Seen, base: float, good: Callable[[Cell], bool]
) -> Cell | None:
    """Of the cells with a reset by subtraction the one that rounding should cost fewest spikes.

    How many it really costs is a matter of luck on few samples: one late spike makes others late.
    """
    base, best, least = _fullest(draft, real, base), None, float("inf")
    for make, worth in ((compared_cell, 1.0), (leaking_cell, WORTH_A_POPULATION)):
        for plain in _finest(make, draft, real, base):
            cell, flips = calibrated(make, draft, real, plain, reached)
            if flips * worth < least:
                best, least = cell, flips * worth
        if best is not None and (best.exact or good(best)):
            break
    return best


def _finest(make: Make, draft: Draft, real: RealCell, base: float) -> list[Cell]:
    """Those whose rounding should disturb least, as many as are worth a look."""
    return sorted(_at_scales(make, draft, real, base), key=lambda c: c.roughness)[:MOST_TRIED]


def _smoothest(cells: Iterable[Cell]) -> Cell | None:
    """The first that is exact or is not for a soft reset, else the one that disturbs least."""
    found: Cell | None = None
    for cell in cells:
        if cell.exact or not cell.soft:
            return cell
        if found is not None and cell.roughness >= found.roughness:
            break  # too fine a scale costs bits of the decay, a coarser one only loses from here
        found = cell
    return found


def _prescribed(draft: Draft, real: RealCell) -> Cell | None:
    """At the scale that the model itself gives, its weights cut to whole numbers."""
    unit: float = draft.node.op.unit  # type: ignore[attr-defined]  # as above
    cut = tuple(np.trunc(w * unit) / unit for w in real.weights)
    cell = _plain(real)(draft, replace(real, weights=cut), unit)
    if cell is None:
        return None
    lost = sum(float(np.sum((w - c) ** 2)) for w, c in zip(real.weights, cut, strict=True))
    power = sum(float(np.sum(w**2)) for w in real.weights)
    error = float(np.sqrt(lost / power)) if power else 0.0
    return replace(cell, weight_error=error, exact=cell.exact and not error)


def _plain(real: RealCell) -> Make:
    """The populations that say it in the fewest."""
    return soft_cell if real.subtract else hard_cell


def _at_scales(make: Make, draft: Draft, real: RealCell, base: float) -> Iterator[Cell]:
    """Those that fit, from fine to coarse."""
    for power in range(FINEST, COARSEST - 1, -1):
        cell = make(draft.fresh(draft.seen), real, base * 2.0**power)
        if cell is not None and (cell.exact or _fine(draft, real, cell)):
            yield cell


def _fits(draft: Draft) -> Fits:
    """Whether some scale fits the node under other circumstances."""

    def fits(state: QuantizerState, real: RealCell) -> bool:
        unit: float = draft.node.op.unit  # type: ignore[attr-defined]  # as above
        other = Draft(state, draft.node, draft.inputs)
        if unit:
            cell = _plain(real)(other, real, unit)
            return cell is not None and (cell.exact or _fine(draft, real, cell))
        makes = [_plain(real), *([compared_cell] if real.subtract else [])]
        base = _base(state, real, state.bits_of(draft.node))
        return any(next(_at_scales(make, other, real, base), None) for make in makes)

    return fits


def _fine(draft: Draft, real: RealCell, cell: Cell) -> bool:
    bits = draft.state.bits_of(draft.node)
    asked = bits.used < bits.held
    units = min(cell.threshold, real.threshold * cell.scale)  # of a helper, and of the membrane
    few = real.threshold > 0 and units < LEAST_THRESHOLD
    return not few and (asked or cell.weight_error < WORST_WEIGHTS)


def _with_seen(cell: Cell, sent: Mapping[str, IntArray]) -> Cell:
    """The populations with measured ranges say what they sent on the data."""

    def told(q: p.Population) -> p.Population:
        if q.measured is None:
            return q
        low, high = (int(end(initial=0)) for end in (sent[q.name].min, sent[q.name].max))
        return replace(q, measured=replace(q.measured, seen_low=low, seen_high=high))

    return replace(cell, populations=tuple(told(q) for q in cell.populations))
