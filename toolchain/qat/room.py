"""How much each population may receive: whatever is trained is a legal Program."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ..ground.arith import INPUT_SHIFT
from ..ir.bound import Bound
from ..ir.graph import FloatArray
from ..ir.loops import in_loops
from ..ir.program import LIF, Clock, MultiLevel, Population, Program
from . import limits
from .ticks import ticked
from .wires import Wire

Port = tuple[str, str]
"""Population and port."""


@dataclass(frozen=True, eq=False)
class Room:
    """What the Program of a template leaves.

    start   by port of populations that numbers go round in: the least and greatest that the trained
            wires alone could deliver to any neuron before training. The ranges of such a loop were
            proved with that, and no bound of a single step says them again.
    ticked  populations that a tick silences, which takes as much as can arrive
    """

    program: Program
    start: Mapping[Port, tuple[float, float]]
    trained: Collection[str]
    ticked: Collection[str]

    @staticmethod
    def of(
        program: Program, wires: Mapping[str, tuple[Wire, ...]], trained: Collection[str]
    ) -> Room:
        """Before training."""
        loops = in_loops(program)
        start: dict[Port, tuple[float, float]] = {}
        for name, incoming in wires.items():
            neuron = program[name].neuron
            if name not in loops or isinstance(neuron, LIF | MultiLevel):
                continue
            for port in neuron.ports:
                own = [w for w in incoming if w.whole.port == port and w.name in trained]
                if own:
                    found = [limits.ends(program, w) for w in own]
                    low, high = (sum(b.low for b in found), sum(b.high for b in found))
                    start[name, port] = (float(np.min(low)), float(np.max(high)))
        return Room(program, start, trained, ticked(program))

    def excess(
        self, q: Population, port: str, delivered: Mapping[str, Bound], bias: int
    ) -> FloatArray | None:
        """By what factor the inputs of each neuron must shrink [size]; None if they fit.

        delivered  by wire, all that end at the port;  bias  the largest that may be added
        """
        if (q.name, port) in self.start:
            own = (b for name, b in delivered.items() if name in self.trained)
            return limits.excess(own, *self.start[q.name, port])
        least, most = limits.allowed(self.program, q, bias)
        if q.name not in self.ticked:
            return limits.excess(delivered.values(), least, most)
        ticks = self._ticks(q)
        found = [b for name, b in delivered.items() if name not in ticks]
        high = float(np.max(sum(b.high for b in found), initial=0))
        low, high = self._beside_tick(q, bias, high)
        return limits.excess(found, max(least, low), min(most, high))

    def _ticks(self, q: Population) -> set[str]:
        """What brings the ticks of a sample's last step."""
        incoming = self.program.incoming[q.name]
        return {
            j.name for j in incoming if isinstance(self.program[j.pre].neuron, Clock) and j.lag == 0
        }

    def _beside_tick(self, q: Population, bias: int, high: float) -> tuple[float, float]:
        """The least and the most that `q` may receive, if a tick as large as what `high` drives
        comes besides.
        """
        widths = self.program.arithmetic
        if not isinstance(q.neuron, LIF):
            most = float((widths.payload_limit - 2 - bias) // 2)
            return -most, most
        late = [j for j in self.program.incoming[q.name] if j.lag]
        clocks = [j for j in late if isinstance(self.program[j.pre].neuron, Clock)]
        once = int(limits.summed(self.program, clocks).largest.max(initial=0))
        left = widths.input_limit - 2 - 2 * once - (bias >> INPUT_SHIFT)
        growth = limits.growth(self.program, q.neuron)
        most = left / (1 + growth)
        return -(left - growth * min(high, most)), most
