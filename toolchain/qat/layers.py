"""Which weights are trained: one parameter per layer of the source model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..compiler.quantize.state.mantissas import WeightBits
from ..ground.arith import IntArray
from ..ground.arithmetic import Arithmetic
from ..ir.program import Conv2d, Dense
from .grid import Rows
from .wires import Wire


@dataclass(frozen=True, eq=False)
class Layer:
    """One parameter, read by one or more wires into one population.

    key    its name: that of the first wire, with '/' for '.'
    start  mantissas before training [O, ...]
    """

    key: str
    wires: tuple[Wire, ...]
    start: IntArray
    rows: Rows


def layers_of(
    wires: Mapping[str, tuple[Wire, ...]], bits: Mapping[str, int], widths: Arithmetic
) -> tuple[Layer, ...]:
    """The layers of all populations (`bits` by population, absent: all of a synapse).

    Weights that are all alike are a pool's or a sum's and stay. Wires into one population that
    start from equal weights and exponents are one layer of the model, read from several producers
    (a residual stream), and stay equal.
    """
    found: list[Layer] = []
    for name, incoming in wires.items():
        own: list[Layer] = []
        for wire in incoming:
            c = wire.whole.connection
            if not isinstance(c, Dense | Conv2d) or c.weight.min() == c.weight.max():
                continue
            twin = next((i for i, layer in enumerate(own) if _reads(layer, wire)), None)
            if twin is not None:
                own[twin] = replace(own[twin], wires=(*own[twin].wires, wire))
                continue
            held = widths.weight_bits
            own_bits = WeightBits(min(bits.get(name, held), held), held)
            rows = Rows.around(c.weight, own_bits, wire.part)
            own.append(Layer(wire.name.replace(".", "/"), (wire,), c.weight, rows))
        found += own
    return tuple(found)


def _reads(layer: Layer, wire: Wire) -> bool:
    first, c = layer.wires[0], wire.whole.connection
    assert isinstance(c, Dense | Conv2d)
    return (
        first.whole.port == wire.whole.port
        and np.array_equal(layer.start, c.weight)
        and np.array_equal(first.part, wire.part)
        and np.array_equal(first.exponents, wire.exponents)
    )
