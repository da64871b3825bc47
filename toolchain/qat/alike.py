"""The origins of a Program that nobody quantized here: what copies of a neuron hold alike."""

from __future__ import annotations

import numpy as np

from ..ir.carried import Carried, Origins
from ..ir.facts import Cell
from ..ir.program import Conv2d, Dense, Population, Program
from .wires import Wire, wires_of


def alike(program: Program) -> Origins:
    """Every wire with weights is a layer; equal ones into the copies of one cell are the same.

    A weight of 0 is no synapse.
    """
    cell = {n: f.population for f in program.known(Cell) for n in (f.population, *f.silent)}
    first: dict[object, list[tuple[Wire, str]]] = {}
    found: list[Carried] = []
    for name, wires in wires_of(program, Origins()).items():
        for wire in wires:
            c = wire.whole.connection
            if not isinstance(c, Dense | Conv2d) or _constant(program[wire.whole.pre]):
                continue
            where = (cell.get(name, name), wire.whole.pre, wire.whole.port, wire.whole.lag)
            known = first.setdefault(where, [])
            layer = next((y for w, y in known if name in cell and _same(w, wire)), wire.name)
            known.append((wire, layer))
            absent = c.weight == 0
            found.append(
                Carried(
                    layer,
                    tuple(j.name for j in wire.parts),
                    2.0**wire.row_exponents,
                    absent if absent.any() else None,
                )
            )
    return Origins(tuple(found))


def _constant(pre: Population) -> bool:
    """True of a neuron that fires at every step."""
    return pre.size == 1 and pre.neuron.biased


def _same(one: Wire, two: Wire) -> bool:
    return (
        np.array_equal(one.whole.connection.weights, two.whole.connection.weights)
        and np.array_equal(one.row_exponents, two.row_exponents)
        and one.whole.post != two.whole.post
    )
