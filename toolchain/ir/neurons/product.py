"""Product: multiplies its two inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...ground.arithmetic import Arithmetic
from ...ground.errors import Problem
from ..bound import Bound, Ports, product_bound
from .base import NeuronProgram, Width

PRODUCT_LIMIT = 1 << 31
"""Product neurons wrap at 32 bits before they shift, at all widths (semantics 2.2)."""


@dataclass(frozen=True)
class Product(NeuronProgram):
    """Lava's ProdNeuron: v = wrap32(a_in1 * a_in2) >> exp (floor); s = v if |v| > vth else 0."""

    ports = ("a_in1", "a_in2")
    quiet = True
    multiplies = True
    colour = "#2a9d8f"

    exp: int = 0
    vth: int = 0

    def widths(self, arithmetic: Arithmetic) -> tuple[Width, ...]:
        """A threshold is compared with a payload; 32 bits are shifted."""
        payload = arithmetic.payload_limit - 1
        return Width("vth", self.vth, 0, payload), Width("exp", self.exp, 0, 31)

    def sum_faults(
        self,
        where: str,
        shape: tuple[int, ...],
        ports: Ports,
        steady: Ports,
        timesteps: int,
        arithmetic: Arithmetic,
    ) -> Iterator[Problem]:
        """The product of what the two ports can receive stays below 2^31 in magnitude."""
        value = int(self._full(ports).largest.max(initial=0))
        if value >= PRODUCT_LIMIT:
            yield Problem(
                "SFX-E347",
                where,
                f"the product can reach {value}, but must stay below 2^31",
                "use smaller exponents on its inputs",
            )

    def sends(self, ports: Ports) -> Bound:
        """The shifted product."""
        full = self._full(ports)
        return Bound(full.low >> self.exp, full.high >> self.exp)

    def _full(self, ports: Ports) -> Bound:
        return product_bound(ports["a_in1"], ports["a_in2"])
