"""LI: leaky integrate without fire, a membrane that is read out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ...ground.arith import IntArray
from ...ground.arithmetic import Arithmetic
from ...ground.errors import Problem
from ..bound import Bound, Ports
from .leaky import Leaky, membrane_bound


@dataclass(frozen=True, eq=False)
class LI(Leaky):
    """Lava's LIFReset without its threshold: it sends its membrane (integer semantics 2.6).

    At Loihi's widths; those that hold are the Program's `arithmetic`:
    u = wrap(trunc(u * (4096 - (du+1)) / 4096) + (a_in << 6))
    v = clip24(trunc(v * (4096 - dv) / 4096) + u + bias)
    s = v
    u = v = 0 before the update of each sample's first step.

    du -1..4095, dv 0..4095; bias_mant and bias_exp as in `LIF`.
    """

    colour = "#8c6bb1"

    du: int
    dv: int
    bias_mant: IntArray = field(default_factory=lambda: np.zeros((), np.int64))
    bias_exp: int = 0

    def constants(self, shape: tuple[int, ...], neuron: int) -> str:
        """With the bias as it meets v."""
        return f"LI du = {self.du}, dv = {self.dv}, bias = {self.bias_at(shape, neuron)}"

    def faults(
        self, where: str, shape: tuple[int, ...], arithmetic: Arithmetic
    ) -> Iterator[Problem]:
        """Besides, the membrane is a payload."""
        yield from super().faults(where, shape, arithmetic)
        if arithmetic.state_bits > arithmetic.payload_bits:
            what = (
                f"sends a membrane of {arithmetic.state_bits} bits, and a payload has "
                f"{arithmetic.payload_bits}"
            )
            yield Problem("SFX-E342", where, what)

    def sum_faults(
        self,
        where: str,
        shape: tuple[int, ...],
        ports: Ports,
        steady: Ports,
        timesteps: int,
        arithmetic: Arithmetic,
    ) -> Iterator[Problem]:
        """The current fits the state (24 bits on Loihi)."""
        a_in, always = ports["a_in"], steady["a_in"]
        yield from self.current_faults(where, a_in, always, timesteps, arithmetic)

    def sends_within(self, ports: Ports, timesteps: int, arithmetic: Arithmetic) -> Bound:
        """All that the membrane can be in a sample of so many steps."""
        return membrane_bound(self, self.bias, ports["a_in"], timesteps, arithmetic)
