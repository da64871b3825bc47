"""Neurons that one LIF population does not say: a current, a subtracting reset, loops, a start.

A scale is tried from fine to coarse; the first whose registers provably hold is taken (soft cells:
the one whose rounding disturbs least). Weights are split in two projections where one is too
coarse, since a loop feeds its errors back.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ....ir import facts as f
from ....ir import graph as g
from ....ir.record import LayerRecord
from ....ir.wires import Wire
from ..fit.mantissa import exact_gain
from ..fit.no_scale import Fits, no_scale
from ..fit.real import RealCell, real_cell
from ..state.matched import fields_of
from ..state.memory import memory_bits
from ..state.quantizer_state import QuantizerState, inputs_of
from .draft import Draft
from .hard import hard_cell
from .run import spikes
from .soft import soft_cell
from .terms import Cell

FINEST, COARSEST = 18, -18
"""Powers of two of the scale that are tried."""
LEAST_THRESHOLD = 16
"""Units of a threshold below which a rounded model would not be the same neuron any more."""


WORST_WEIGHTS = 0.25
"""Relative rms error of the weights from which it would not be the same net."""


def add_cell(state: QuantizerState, node: g.Node, wires: list[Wire]) -> None:
    """The populations, projections and record of one neuron node.

    Raises UnsupportedError: SFX-E309 for a threshold below the reset, SFX-E310 if no scale fits.
    """
    inputs = inputs_of(state, node, wires)
    draft = Draft(state, node, inputs)
    real = real_cell(node, inputs)
    streams = [state.streams[w.source].scale for w in wires if w.source in state.streams]
    base = streams[0] if streams else _base(state, real)
    cell = _best(draft, real, base)
    state.populations.extend(cell.populations)
    state.projections.extend(cell.projections)
    if cell.silent:
        gather = f"{node.name}.input"
        found = gather if any(q.name == gather for q in cell.populations) else ""
        state.facts.append(f.Cell(node.name, found, tuple(sorted(cell.silent))))
    target = state.target(node.name)
    measured: dict[str, Any] = {}
    if target is not None:
        mine = spikes(state, node.name, cell, state.sent)
        alone = spikes(state, node.name, cell, {w.source: state.as_sent(w.source) for w in wires})
        state.sent[node.name] = mine.astype(np.uint8)
        measured = fields_of(target, alone, mine)
        state.listen(node.name, target, mine)
    state.records.append(
        LayerRecord(
            node.name,
            cell.scale,
            state.arithmetic.weight_bits,
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


def _base(state: QuantizerState, real: RealCell) -> float:
    """What powers of two multiply: the scale at which the weights are whole, if there is one."""
    return exact_gain(real.weights, state.every_bit) or 1.0


def _best(draft: Draft, real: RealCell, base: float) -> Cell:
    make = soft_cell if real.subtract else hard_cell
    prescribed = draft.node.op.unit  # type: ignore[attr-defined]  # a LIF or IF, see real_cell
    if prescribed:
        cut = tuple(np.trunc(w * prescribed) / prescribed for w in real.weights)
        cell = make(draft, replace(real, weights=cut), prescribed)
        if cell is None:
            raise no_scale(draft.state, draft.inputs, real, _fits(draft))
        lost = sum(float(np.sum((w - c) ** 2)) for w, c in zip(real.weights, cut, strict=True))
        power = sum(float(np.sum(w**2)) for w in real.weights)
        error = float(np.sqrt(lost / power)) if power else 0.0
        return replace(cell, weight_error=error, exact=cell.exact and not error)
    found: Cell | None = None
    for power in range(FINEST, COARSEST - 1, -1):
        scale = base * 2.0**power
        cell = make(Draft(draft.state, draft.node, draft.inputs), real, scale)
        if cell is None or not (cell.exact or _fine(real, cell)):
            continue
        if cell.exact or not real.subtract:
            return cell
        if found is not None and cell.roughness >= found.roughness:
            break  # too fine a scale costs bits of the decay, a coarser one only loses from here
        found = cell
    if found is None:
        raise no_scale(draft.state, draft.inputs, real, _fits(draft))
    return found


def _fits(draft: Draft) -> Fits:
    """Whether some scale fits the node under other circumstances."""

    def fits(state: QuantizerState, real: RealCell) -> bool:
        make = soft_cell if real.subtract else hard_cell
        base = draft.node.op.unit or _base(state, real)  # type: ignore[attr-defined]
        powers = (0,) if draft.node.op.unit else range(FINEST, COARSEST - 1, -1)  # type: ignore[attr-defined]
        tried = (make(Draft(state, draft.node, draft.inputs), real, base * 2.0**p) for p in powers)
        return any(c is not None and (c.exact or _fine(real, c)) for c in tried)

    return fits


def _fine(real: RealCell, cell: Cell) -> bool:
    few = real.threshold > 0 and cell.threshold < LEAST_THRESHOLD
    return not few and cell.weight_error < WORST_WEIGHTS
