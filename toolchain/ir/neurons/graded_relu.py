"""GradedReLU: passes its summed input on where it is positive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...ground.arithmetic import Arithmetic
from ..bound import Bound, Ports
from .base import NeuronProgram, Width


@dataclass(frozen=True)
class GradedReLU(NeuronProgram):
    """Lava's GradedReluVec: s = a if a > vth else 0."""

    quiet = True
    colour = "#b07aa1"

    vth: int = 0

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """A threshold is compared with a payload."""
        return (Width("vth", self.vth, 0, arithmetic.payload_limit - 1),)

    def sends(self, ports: Ports) -> Bound:
        """What arrives, if it is positive."""
        a = ports["a_in"]
        return Bound(np.zeros_like(a.low), a.high)
