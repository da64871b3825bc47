"""Clock: marks the end of every sample, or of every group of its steps."""

from __future__ import annotations

from dataclasses import dataclass

from ..bound import Bound, Ports
from .base import NeuronProgram, constant

CLOCK = "clock"
"""Name of the population that ticks at a sample's last step, wherever a Program needs one."""


@dataclass(frozen=True)
class Clock(NeuronProgram):
    """One host-driven neuron: 1 at the last model step of every sample (t = T-1), else 0.

    It ticks from hardware step 0 on, also before its phase: at h where (h - phase) mod T = T-1.

    every  steps from tick to tick, a divisor of T, where the sample's steps come in groups: it
           then ticks at h where (h - phase) mod every = every-1; 0 for T
    """

    every: int = 0

    ports = ()
    driven = True
    binary = True
    microcode = False
    colour = "#9aa5b1"

    def period(self, timesteps: int) -> int:
        """Steps from tick to tick, in samples of T steps."""
        return self.every or timesteps

    def sends(self, ports: Ports) -> Bound:
        """Ticks."""
        return constant(0, 1)
