"""Clock: marks the end of every sample."""

from __future__ import annotations

from dataclasses import dataclass

from ..bound import Bound, Ports
from .base import NeuronProgram, constant


@dataclass(frozen=True)
class Clock(NeuronProgram):
    """One host-driven neuron: 1 at the last model step of every sample (t = T-1), else 0.

    It ticks from hardware step 0 on, also before its phase: at h where (h - phase) mod T = T-1.
    """

    ports = ()
    driven = True
    binary = True
    microcode = False
    colour = "#9aa5b1"

    def sends(self, ports: Ports) -> Bound:
        """Ticks."""
        return constant(0, 1)
