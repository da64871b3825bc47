"""How to quantize: method, bits of each population, how much searching is allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...ground.arith import IntArray
from ...ground.arithmetic import LOIHI, Arithmetic
from ...ground.errors import InputError
from ...ir import graph as g

METHODS = ("calibrated", "naive")
INTEGER_SPIKES = ("auto", "graded", "slots")
BITS = LOIHI.weight_bits
"""Bits of a synaptic weight unless an option says otherwise; a target may hold fewer."""
FEW_BITS = 5
"""Up to so many bits the channels of a projection may have exponents of their own."""
FEW_BITS_EFFORT = 4
"""How much more effort such populations get."""
GROUPS = 4
"""Exponents that the channels of one projection may have then: one more projection for each."""

COUNT_BITS = 8
"""Payload of an input that carries event counts (design: graded input, 8 bit)."""
MOST_COUNTS = (1 << COUNT_BITS) - 1

RANGE_MARGIN = 100
MOST_MARGIN = 10_000
"""Percent: what a measured range is wider than what was seen, and the most that makes sense."""


@dataclass(frozen=True)
class Options:
    """How weights become integers.

    method   calibrated: scales, rounding and biases chosen on the calibration data; naive: the
             largest weight takes the largest mantissa, the others the nearest, data or not
    bits     of a weight, 2..8; at most those that a synapse of the target holds
    layers   bits of some populations, by name of the population or of its module
    effort   how much rounding search: 0 none, 1 what a compile of a large net affords, more: longer
    integer_spikes  of neurons that send up to D spikes in a step: graded (one number), slots (D
             binary spikes), or auto: graded where the target's spikes carry a payload
    counts   the most events that enter a neuron in a step, 1..255; None: what the model says of its
             input, else 1 if the calibration data have no more, else 255
    proved   no range is measured: a population whose worst case fits no register is refused
    range_margin  percent by which a measured range is wider than what was seen
    """

    method: str = "calibrated"
    bits: int = BITS
    layers: Mapping[str, int] = field(default_factory=dict)
    effort: float = 1.0
    counts: int | None = None
    integer_spikes: str = "auto"
    proved: bool = False
    range_margin: int = RANGE_MARGIN

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            hint = f"one of: {', '.join(METHODS)}"
            raise InputError(
                "SFX-E324", f"there is no quantization method '{self.method}'", hint=hint
            )
        if self.integer_spikes not in INTEGER_SPIKES:
            raise InputError(
                "SFX-E324",
                f"integer spikes as '{self.integer_spikes}'",
                hint=f"one of: {', '.join(INTEGER_SPIKES)}",
            )
        for name, bits in [("bits", self.bits), *self.layers.items()]:
            if not 2 <= bits <= BITS:
                raise InputError(
                    "SFX-E325", f"{bits} bits of a weight, but must be 2..8", where=name
                )
        if not 0 <= self.range_margin <= MOST_MARGIN:
            what = f"a margin of {self.range_margin} percent, but must be 0..{MOST_MARGIN}"
            raise InputError("SFX-E313", what)
        if self.counts is not None and not 1 <= self.counts <= MOST_COUNTS:
            raise InputError(
                "SFX-E329", f"{self.counts} events a step, but must be 1..{MOST_COUNTS}"
            )

    def input_high(self, calibration: IntArray | None, declared: int = 0) -> int:
        """The largest value that may enter: all ones in the bits that `counts` takes.

        declared: what the model itself says of its input, 0: nothing. Raises InputError (SFX-E329)
        if the data hold more.
        """
        found = 1 if calibration is None else int(calibration.max(initial=0))
        most = self.counts or declared or (1 if found <= 1 else MOST_COUNTS)
        high = (1 << most.bit_length()) - 1
        if found > high:
            raise InputError(
                "SFX-E329",
                f"the calibration data reach {found} events a step, more than {high}",
                hint="give a larger count, or none, or data in shorter steps",
            )
        return high

    def within(self, widths: Arithmetic) -> Options:
        """The same with no more bits than a synapse holds."""
        layers = {name: min(bits, widths.weight_bits) for name, bits in self.layers.items()}
        return replace(self, bits=min(self.bits, widths.weight_bits), layers=layers)

    def bits_of(self, node: g.Node) -> int:
        """Bits of the weights into a population."""
        return self.layers.get(node.name, self.layers.get(node.module, self.bits))

    def groups_of(self, node: g.Node) -> int:
        """How many exponents the channels of one projection into a population may have."""
        few = self.method == "calibrated" and self.bits_of(node) <= FEW_BITS
        return GROUPS if few else 1

    def effort_of(self, node: g.Node) -> float:
        """Effort for a population: more at few bits, where rounding costs more."""
        return self.effort * (FEW_BITS_EFFORT if self.bits_of(node) <= FEW_BITS else 1)

    def check(self, graph: g.Graph) -> None:
        """Raise InputError (SFX-E326) if a layer is named that the graph does not have."""
        rounded = [n for n in graph if n.op.neuron or isinstance(n.op, g.Output)]
        known = {n.name for n in rounded} | {n.module for n in rounded if n.module}
        for name in sorted(set(self.layers) - known):
            raise InputError(
                "SFX-E326",
                f"there is no population '{name}' to give bits to",
                where=graph.name,
                hint=f"one of: {', '.join(sorted(known)[:40])}",
            )
