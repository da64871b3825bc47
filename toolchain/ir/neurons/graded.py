"""Graded: passes its summed input on as a payload."""

from __future__ import annotations

from dataclasses import dataclass

from ...ground.arithmetic import Arithmetic
from ..bound import Bound, Ports
from .base import NeuronProgram, Width


@dataclass(frozen=True)
class Graded(NeuronProgram):
    """Lava's GradedVec: s = a if |a| > vth else 0."""

    quiet = True
    colour = "#e4572e"

    vth: int = 0

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """A threshold is compared with a payload."""
        return (Width("vth", self.vth, 0, arithmetic.payload_limit - 1),)

    def sends(self, ports: Ports) -> Bound:
        """What arrives."""
        return ports["a_in"]
