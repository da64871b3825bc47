"""Sigma: sends the sum of everything it received."""

from __future__ import annotations

from dataclasses import dataclass

from ...ground.arith import WORD_BITS
from ...ground.arithmetic import Arithmetic
from ..bound import Bound, Ports
from .base import NeuronProgram
from .delta import any_word


@dataclass(frozen=True, eq=False)
class Sigma(NeuronProgram):
    """Lava's Sigma in fixed point (semantics 2.5): sigma = i32(sigma + a_in);  s = sigma."""

    state = ("sigma",)
    host_reset = True
    unproved = True
    colour = "#9c755f"

    def input_limit(self, arithmetic: Arithmetic) -> int:
        """A word."""
        return 1 << (WORD_BITS - 1)

    def sends(self, ports: Ports) -> Bound:
        """Any word: the range that is declared is counted at run time."""
        return any_word(0)
