"""The field's 45 nm operation count: 0.9 pJ per accumulate, 4.6 pJ per multiply-accumulate.

A convention for comparing papers, NOT the energy of any neuromorphic device: it leaves out memory,
neurons, spikes' way over the chip, and static power. fp32 at 45 nm, 0.9 V (Horowitz, ISSCC 2014:
add 0.9 pJ, multiply 3.7 pJ).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ACCUMULATE_J = 0.9e-12
MULTIPLY_ACCUMULATE_J = 4.6e-12
SOURCE = "45 nm fp32, 0.9 V: Horowitz, ISSCC 2014; the convention of the spiking-transformer papers"


@dataclass(frozen=True)
class Proxy:
    """Operations of one sample, on average.

    accumulates  of binary spikes;  multiplies  of graded values, and products
    dense_macs   of the dense twin, which runs once
    """

    accumulates: float
    multiplies: float
    dense_macs: float

    @property
    def snn_j(self) -> float:
        """The spiking network: accumulates for binary spikes, multiply-accumulates for graded."""
        return ACCUMULATE_J * self.accumulates + MULTIPLY_ACCUMULATE_J * self.multiplies

    @property
    def ann_j(self) -> float:
        """The same layers with dense activations, run once."""
        return MULTIPLY_ACCUMULATE_J * self.dense_macs

    @classmethod
    def sum(cls, parts: Iterable[Proxy]) -> Proxy:
        """Of all parts."""
        every = list(parts)
        return cls(
            sum(p.accumulates for p in every),
            sum(p.multiplies for p in every),
            sum(p.dense_macs for p in every),
        )
