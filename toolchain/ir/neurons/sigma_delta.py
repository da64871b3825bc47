"""SigmaDelta: a neuron that adds up changes and sends the changes of its activation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...ground.arith import WORD_BITS, IntArray
from ...ground.arithmetic import Arithmetic
from ...ground.errors import Problem
from ..bound import Bound, Ports
from .base import NeuronProgram, Width
from .delta import any_word, change_widths, word_limit


@dataclass(frozen=True, eq=False)
class SigmaDelta(NeuronProgram):
    """Lava's SigmaDelta in fixed point, without cum_error (semantics 2.5).

    sigma = i32(sigma + a_in)                                        (a_in is not shifted)
    x = i32(sigma + (bias << e)), e = spike_exp + state_exp;  x = max(x, 0) where `relu`
    d = i32(x - sent);  s' = d where |d| >= vth << e, else 0         (not strict)
    sent = i32(sent + s');  s = s' >> state_exp                      (floor)

    `sent` as in `Delta`. Both states start at 0 with the sample.

    vth 0..2^(31 - e) - 1, spike_exp and state_exp 0..7; bias: int64 array broadcastable to the
    population's shape, bias << e within 32 bits; relu 0 or 1.
    """

    state = ("sigma", "sent")
    host_reset = True
    unproved = True
    colour = "#e15759"

    vth: int = 0
    bias: IntArray = field(default_factory=lambda: np.zeros((), np.int64))
    spike_exp: int = 6
    state_exp: int = 6
    relu: int = 1

    @property
    def biased(self) -> bool:
        """Whether a bias may make it send where nothing arrives."""
        return bool(self.bias.any())

    def input_limit(self, arithmetic: Arithmetic) -> int:
        """A word."""
        return 1 << (WORD_BITS - 1)

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """Threshold and exponents."""
        change = change_widths(self.vth, self.spike_exp, self.state_exp)
        return (*change, Width("relu", self.relu, 0, 1))

    def faults(
        self, where: str, shape: tuple[int, ...], arithmetic: Arithmetic
    ) -> Iterator[Problem]:
        """bias << e fits a word, for every neuron of the population."""
        low, high = self.bias.min(initial=0), self.bias.max(initial=0)
        limit = word_limit(self.spike_exp, self.state_exp)
        if not -limit <= low <= high < limit:
            what = f"bias is in {low}..{high}, but must be in {-limit}..{limit - 1}"
            yield Problem("SFX-E342", where, what)
        try:
            fits = np.broadcast_shapes(self.bias.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            yield Problem(
                "SFX-E342", where, f"bias {self.bias.shape} does not broadcast to {shape}"
            )

    def sends(self, ports: Ports) -> Bound:
        """Any word, shifted: the range that is declared is counted at run time."""
        return any_word(self.state_exp)
