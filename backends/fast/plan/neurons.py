"""The neurons of a population before they run."""

from __future__ import annotations

from dataclasses import dataclass

from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.program import Population
from ..layout import Values


@dataclass(frozen=True, eq=False)
class PlannedNeurons:
    """The neurons of a population as they are run.

    bias     [size] int32 in the population's layout; None for neurons without
    bound    no input is larger
    checked  whether what is sent is compared with the declared range
    widths   the Program's
    """

    population: Population
    bias: Values | None
    bound: int
    checked: bool
    widths: Arithmetic
