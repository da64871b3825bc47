"""Which layer of the model each projection carries, noted while projections are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ....ir import graph as g
from ....ir.carried import Carried, Constant, Origins
from ....ir.wires import Wire

SAME = 1e-6
"""Relative difference up to which two layers hold the same numbers (folded in float64)."""


@dataclass(eq=False)
class Notes:
    """What was noted so far; layers of one module are one if they hold the same weights."""

    graph: g.Graph
    weights: list[Carried] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    known: dict[str, list[g.FloatArray]] = field(default_factory=dict)

    def carry(self, wire: Wire, projections: Sequence[str], scale: float) -> None:
        """`projections` bring the wire's layer, `scale` times its weights; others are not noted."""
        found = self._layer(wire)
        if found is None or not projections or not scale:
            return
        name, rows = found
        weight = wire.layer.weight  # type: ignore[union-attr]  # a layer of the graph, see _layer
        absent = weight == 0
        self.weights.append(
            Carried(name, tuple(projections), scale * rows, absent if absent.any() else None)
        )

    @property
    def all(self) -> Origins:
        """In the order in which they were noted."""
        return Origins(tuple(self.weights), tuple(self.constants))

    def _layer(self, wire: Wire) -> tuple[str, g.FloatArray] | None:
        """Its name, and what its rows are times those of the first one of that name."""
        layer = wire.layer
        node = next((n for n in self.graph if n.op is layer), None)
        if node is None or not isinstance(layer, g.Conv2d | g.Linear):
            return None
        base = node.module or node.name
        known = self.known.setdefault(base, [])
        for i, weight in enumerate(known):
            rows = _times(layer.weight, weight)
            if rows is not None:
                return base if not i else f"{base}#{i}", rows
        known.append(layer.weight)
        return base if len(known) == 1 else f"{base}#{len(known) - 1}", np.ones(1)


def _times(weight: g.FloatArray, first: g.FloatArray) -> g.FloatArray | None:
    """[O] or [1]: what the rows of `weight` are times those of `first`; None if they are others."""
    if weight.shape != first.shape:
        return None
    one, two = weight.reshape(len(weight), -1), first.reshape(len(first), -1)
    power = np.sum(two**2, axis=1)
    full = power > 0
    rows = np.ones(len(weight))
    rows[full] = np.sum(one * two, axis=1)[full] / power[full]
    off = np.abs(one - rows[:, None] * two).max(initial=0.0)
    if not rows.all() or off > SAME * max(np.abs(one).max(initial=0.0), 1e-30):
        return None
    return rows[:1] if np.ptp(rows) <= SAME * np.abs(rows).max() else rows


def times(real: g.FloatArray, weight: g.FloatArray) -> float:
    """real / weight, of weights that are alike up to one factor; 0 where there are none."""
    at = int(np.abs(weight).argmax()) if weight.size else 0
    largest = float(weight.flat[at]) if weight.size else 0.0
    return float(real.flat[at]) / largest if largest else 0.0
