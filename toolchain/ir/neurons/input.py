"""Input: the sample's events, sent by the host."""

from __future__ import annotations

from dataclasses import dataclass

from ...ground.arithmetic import Arithmetic
from ..bound import Bound, Ports
from .base import NeuronProgram, Width, constant


@dataclass(frozen=True)
class Input(NeuronProgram):
    """Events from the host: 0/1 if `payload_bits` is 0, else counts up to 2^payload_bits - 1."""

    ports = ()
    driven = True
    microcode = False
    colour = "#4c78a8"

    payload_bits: int = 0

    @property
    def high(self) -> int:
        """The largest event count."""
        return (1 << self.payload_bits) - 1 if self.payload_bits else 1

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """A payload, signed (24 bits on Loihi 2)."""
        return (Width("payload_bits", self.payload_bits, 0, arithmetic.payload_bits - 1),)

    def sends(self, ports: Ports) -> Bound:
        """Counts."""
        return constant(0, self.high)
