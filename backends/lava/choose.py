"""Which of Lava's connection processes a projection becomes, without importing Lava.

A delay of d steps is 1 step of any connection process plus d - 1 of a Delay one.
"""

from __future__ import annotations

from ...toolchain.ground.errors import BackendError
from ...toolchain.ir.program import Population, Projection
from .connections import RULES
from .rules import Kind

MAX_DELAY = 64
"""Lava takes delays 0..63 and adds the step of the connection itself."""


def choose(projection: Projection, pre: Population) -> Kind:
    """The Lava process for a balanced projection.

    Raises BackendError (SFX-E520) if the delay is not in 1..64.
    """
    if not 1 <= projection.delay <= MAX_DELAY:
        raise BackendError(
            "SFX-E520",
            f"delay is {projection.delay}, but Lava has delays of 1 to {MAX_DELAY} steps",
            where=projection.name,
            hint="balance the delays first; longer ones need relay populations",
        )
    return RULES[type(projection.connection)].choose(projection, pre)
