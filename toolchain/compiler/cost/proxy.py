"""The field's 45 nm operation count: 0.9 pJ per accumulate, 4.6 pJ per multiply-accumulate.

A convention for comparing papers, NOT the energy of any neuromorphic device: it leaves out memory,
neurons, spikes' way over the chip, and static power. fp32 at 45 nm, 0.9 V (Horowitz, ISSCC 2014:
add 0.9 pJ, multiply 3.7 pJ).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .operations import ACCUMULATE_J, MULTIPLY_ACCUMULATE_J, LayerOperations

SOURCE = "45 nm fp32, 0.9 V: Horowitz, ISSCC 2014; the convention of the spiking-transformer papers"


@dataclass(frozen=True)
class Proxy:
    """Operations of one sample. accumulates and multiplies: the SNN; dense_macs: its dense twin."""

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


def op_proxy(layers: Iterable[LayerOperations]) -> Proxy:
    """The sum of all layers."""
    rows = list(layers)
    return Proxy(
        sum(r.accumulates for r in rows),
        sum(r.multiplies for r in rows),
        sum(r.dense_macs for r in rows),
    )
