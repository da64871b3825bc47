"""Which weights are trained: one parameter per layer of the source model.

What several wires carry of one layer (`ir/carried.py`) shares a parameter: each has the integers
that it starts from, and moves by its own share of the common change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..compiler.quantize.state.mantissas import WeightBits
from ..ground.arith import IntArray
from ..ground.arithmetic import Arithmetic
from ..ir.carried import Carried, Origins
from ..ir.graph import FloatArray
from ..ir.program import Conv2d, Dense
from .grid import Rows, TwoTerms
from .wires import Wire


@dataclass(frozen=True, eq=False)
class Layer:
    """The weights of one or more wires into one population.

    key     its name: that of the first wire, with '/' for '.'
    start   mantissas before training [O, ...]
    absent  [O, ...] True where there is no synapse; None: there are all
    lead    the layer whose parameter it follows; None: it has its own
    times   [O, 1, ...] what it changes per change of the lead
    """

    key: str
    wires: tuple[Wire, ...]
    start: IntArray
    rows: Rows | TwoTerms
    absent: NDArray[np.bool_] | None = None
    lead: Layer | None = None
    times: FloatArray | None = None

    @property
    def parameter(self) -> str:
        """The key of its parameter."""
        return self.key if self.lead is None else self.lead.key

    @property
    def copies(self) -> bool:
        """True if it always holds its lead's integers."""
        return (
            self.lead is not None
            and self.times is not None
            and bool(np.all(self.times == 1))
            and np.array_equal(self.start, self.lead.start)
            and (self.rows.low, self.rows.high) == (self.lead.rows.low, self.lead.rows.high)
        )


def layers_of(
    wires: Mapping[str, tuple[Wire, ...]],
    bits: Mapping[str, int],
    widths: Arithmetic,
    origins: Origins,
) -> tuple[Layer, ...]:
    """The layers of all populations (`bits` by population, absent: all of a synapse).

    Weights that are all alike are a pool's or a sum's and stay. Wires into one population that
    start from equal weights and exponents are one layer of the model, read from several producers
    (a residual stream), and stay equal. Where the origins are known, constants are no weights.
    """
    carried = {name: c for c in origins.weights for name in c.projections}
    found: list[Layer] = []
    leads: dict[str, tuple[Layer, FloatArray]] = {}
    for name, incoming in wires.items():
        own: list[Layer] = []
        for wire in incoming:
            c = wire.whole.connection
            if not isinstance(c, Dense | Conv2d) or c.weight.min() == c.weight.max():
                continue
            of = carried.get(wire.name)
            if carried and of is None:
                continue
            twin = next((i for i, layer in enumerate(own) if _reads(layer, wire, carried)), None)
            if twin is not None:
                own[twin] = replace(own[twin], wires=(*own[twin].wires, wire))
                continue
            layer = _layer(
                wire, min(bits.get(name, widths.weight_bits), widths.weight_bits), widths
            )
            own.append(layer if of is None else _led(layer, of, leads))
        found += own
    return tuple(found)


def _layer(wire: Wire, bits: int, widths: Arithmetic) -> Layer:
    c = wire.whole.connection
    assert isinstance(c, Dense | Conv2d)
    held = widths.weight_bits
    rows: Rows | TwoTerms = (
        TwoTerms.around(c.weight, wire.low_bits, held)
        if wire.low_bits
        else Rows.around(c.weight, WeightBits(bits, held), wire.part)
    )
    return Layer(wire.name.replace(".", "/"), (wire,), c.weight, rows)


def _led(layer: Layer, of: Carried, leads: dict[str, tuple[Layer, FloatArray]]) -> Layer:
    """`layer` behind the first one that carries the same weights, which it becomes if it is it."""
    wire = layer.wires[0]
    scale = np.broadcast_to(of.scale, len(layer.start)) * 2.0**-wire.row_exponents
    layer = replace(layer, absent=of.absent)
    if of.layer not in leads:
        leads[of.layer] = (layer, scale)
        return layer
    lead, first = leads[of.layer]
    if lead.start.shape != layer.start.shape:
        return layer
    times = (scale / first).reshape(-1, *[1] * (layer.start.ndim - 1))
    return replace(layer, lead=lead, times=np.where(np.abs(times - 1) < 1e-9, 1.0, times))


def _reads(layer: Layer, wire: Wire, carried: Mapping[str, Carried]) -> bool:
    first, c = layer.wires[0], wire.whole.connection
    assert isinstance(c, Dense | Conv2d)
    one, two = (carried[w.name].layer if w.name in carried else "" for w in (first, wire))
    return (
        first.whole.port == wire.whole.port
        and one == two
        and first.low_bits == wire.low_bits
        and np.array_equal(layer.start, c.weight)
        and np.array_equal(first.part, wire.part)
        and np.array_equal(first.exponents, wire.exponents)
    )
