"""Delta: an input that sends the changes of the sample's values."""

from __future__ import annotations

from dataclasses import dataclass

from ...ground.arith import WORD_BITS
from ...ground.arithmetic import Arithmetic
from ..bound import Bound, Ports
from .base import Width, constant
from .input import Input

EXPONENTS = 0, 7
"""Of spike_exp and state_exp: Lava holds 3 bits each."""


@dataclass(frozen=True)
class Delta(Input):
    """Values from the host as Lava's Delta encodes them, in fixed point (semantics 2.5).

    x = i32(event << e), e = spike_exp + state_exp
    d = i32(x - sent);  s' = d where |d| >= vth << e, else 0         (not strict)
    sent = i32(sent + s');  s = s' >> state_exp                      (floor)

    `sent` is Lava's act - residue: what a receiver that adds up all s' has. It starts at 0 with the
    sample. A change below the threshold stays in the next d (Lava without cum_error, whatever its
    name says).

    vth 0..2^(31 - e) - 1, spike_exp and state_exp 0..7.
    """

    state = ("sent",)
    host_reset = True
    microcode = True
    colour = "#f28e2b"

    vth: int = 0
    spike_exp: int = 6
    state_exp: int = 6

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """Those of an input, the threshold, the exponents: x is a word."""
        events = super().widths(arithmetic)
        most = word_limit(self.spike_exp, self.state_exp).bit_length() - 2
        fits = Width("payload_bits", self.payload_bits, 0, most)
        return *events, fits, *change_widths(self.vth, self.spike_exp, self.state_exp)

    def sends(self, ports: Ports) -> Bound:
        """|d| < the largest change of an event + the threshold, since less than that was kept."""
        e = self.spike_exp + self.state_exp
        change = ((self.high - self.low) << e) + (self.vth << e)
        return constant(-change >> self.state_exp, change >> self.state_exp)


def change_widths(vth: int, spike_exp: int, state_exp: int) -> tuple[Width, ...]:
    """vth << (spike_exp + state_exp) is compared with a word of 32 bits."""
    return (
        Width("vth", vth, 0, word_limit(spike_exp, state_exp) - 1),
        Width("spike_exp", spike_exp, *EXPONENTS),
        Width("state_exp", state_exp, *EXPONENTS),
    )


def word_limit(*exponents: int) -> int:
    """What stays inside a word after a shift by these lies below it; exponents taken as legal."""
    low, high = EXPONENTS
    return 1 << (WORD_BITS - 1 - sum(min(max(e, low), high) for e in exponents))


def any_word(shift: int) -> Bound:
    """What is left of a word of 32 bits after a shift to the right."""
    half = word_limit(shift)
    return constant(-half, half - 1)
