"""Input: the sample's events, sent by the host."""

from __future__ import annotations

from dataclasses import dataclass

from ...ground.arithmetic import Arithmetic
from ..bound import Bound, Ports
from .base import NeuronProgram, Width, constant


@dataclass(frozen=True)
class Input(NeuronProgram):
    """Events from the host: 0/1 if `payload_bits` is 0, else counts up to 2^payload_bits - 1.

    signed  1: whole numbers of either sign, of that magnitude at most
    """

    ports = ()
    driven = True
    microcode = False
    colour = "#4c78a8"

    payload_bits: int = 0
    signed: int = 0

    @property
    def low(self) -> int:
        """The least event."""
        return -self.high if self.signed else 0

    @property
    def high(self) -> int:
        """The largest event count."""
        return (1 << self.payload_bits) - 1 if self.payload_bits else 1

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """A payload, signed (24 bits on Loihi 2)."""
        bits = Width("payload_bits", self.payload_bits, 0, arithmetic.payload_bits - 1)
        return bits, Width("signed", self.signed, 0, 1)

    def sends(self, ports: Ports) -> Bound:
        """Counts, or numbers of either sign."""
        return constant(self.low, self.high)
