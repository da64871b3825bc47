"""Product: multiplies its two inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from ...ir.program import Population, Product
from .. import straight
from ..rules import Cell, Context, State


def sends(
    q: Population, ports: Mapping[str, Tensor], context: Context, state: State | None
) -> tuple[Tensor, State | None]:
    """In a float that holds the whole product."""
    n = q.neuron
    assert isinstance(n, Product)
    kind = straight.exact_type(max(-q.low, q.high, 1) * 2.0**n.exp)
    full = ports["a_in1"].to(kind) * ports["a_in2"].to(kind)
    a = straight.shift(full, np.array(-n.exp)).float()
    return (a * (a.abs() > n.vth) if n.vth else a), None


RULE = Cell(sends)
