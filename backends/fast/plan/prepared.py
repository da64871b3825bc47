"""A Program readied for running: what is decided once, before any sample is seen.

Types that hold every sum, memory orders, what is contracted and which layers are one kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ....toolchain.ir.loops import groups, is_loop
from ....toolchain.ir.program import (
    LI,
    LIF,
    Input,
    MultiLevel,
    Population,
    Program,
    Projection,
    SigmaDelta,
)
from ..layout import C_ORDER, Layout, arranged
from ..neurons import RULES, lif
from ..rules import Stateless
from . import accumulators, contractions
from .convolutions import PairConv
from .neurons import PlannedNeurons
from .projections import LIMIT, PlannedProjection


class Prepared:
    """A Program readied for running.

    wide  all sums in 64 bits, no declared range is trusted, every population is simulated
    """

    def __init__(self, program: Program, *, wide: bool = False) -> None:
        self.program, self.wide = program, wide
        self.projections = {
            j.name: PlannedProjection(
                j, program[j.pre], program[j.post], program.arithmetic, wide=wide
            )
            for j in program.projections
        }
        self.groups = [(g, is_loop(program, g)) for g in groups(program)]
        self.accumulators = {} if wide else self._accumulators()
        self.contracted = {} if wide else self._contractions()
        self.reading = {
            j.name: contractions.reading(j, c.lengths)
            for name, c in self.contracted.items()
            for j in program.outgoing[name]
        }
        self.last_use = self._last_uses()
        self.bound = {p.name: self._bound(p) for p in program}
        self.layout: dict[str, Layout] = {}
        for group, loop in self.groups:
            for n in group:
                self.layout[n] = C_ORDER if loop else self._layout(program[n])
        self.bias = {
            p.name: arranged(lif.bias_of(p), C_ORDER, self.layout[p.name]).astype(np.int32)
            for p in program
            if isinstance(p.neuron, LI | LIF | MultiLevel | SigmaDelta)
        }
        self.biased = frozenset(p.name for p in program if p.neuron.biased)
        self.small = frozenset(
            n for n, bias in self.bias.items() if np.abs(bias).max(initial=0) <= 1 << 24
        )
        self.fused = {
            n: j
            for group, loop in self.groups
            for n in group
            if not loop and (j := self._fused(program[n])) is not None
        }
        self.neurons = {
            p.name: PlannedNeurons(
                p,
                self.bias.get(p.name),
                self.bound[p.name],
                not wide,
                program.arithmetic,
            )
            for p in program
        }

    def _accumulators(self) -> dict[str, accumulators.Accumulator]:
        """Those whose sums need no wrap."""
        loops = [group for group, loop in self.groups if loop]
        return {
            name: a
            for name, a in accumulators.planned(self.program, loops).items()
            if not any(self.projections[j.name].wraps for j in self.program.incoming[a.memory])
            and sum(self.projections[j.name].bound for j in self.program.incoming[a.memory]) < LIMIT
        }

    def _contractions(self) -> dict[str, contractions.Contraction]:
        """Those whose sums need no wrap."""
        return {
            name: c
            for name, c in contractions.planned(self.program, frozenset(self.accumulators)).items()
            if not any(self.projections[j.name].wraps for j in self.program.outgoing[name])
        }

    def _last_uses(self) -> dict[str, int]:
        """Group after which nobody reads what a population sent."""
        program = self.program
        place = {n: i for i, (g, _) in enumerate(self.groups) for n in g}
        last = {
            p.name: max((place[j.post] for j in program.outgoing[p.name]), default=place[p.name])
            for p in program
        }
        for name, c in self.contracted.items():
            for operand in (c.a.name, c.b.name):
                last[operand] = max(last[operand], last[name])
        return last

    def _bound(self, p: Population) -> int:
        """No sum over the projections of a port is larger."""
        total = dict.fromkeys(p.neuron.ports, 0)
        for j in self.program.incoming[p.name]:
            total[j.port] += self.projections[j.name].bound
        return max(total.values(), default=0)

    def _layout(self, p: Population) -> Layout:
        """The first axis last where convolutions want it so, else C order."""
        incoming = self.program.incoming[p.name]
        for j in incoming:
            conv = self.projections[j.name].convolution
            if conv is not None and conv.positions > 1 and p.shape[0] == conv.outputs:
                return Layout(conv.outputs)
        for j in incoming:
            same = self.layout.get(j.pre, C_ORDER) if self.projections[j.name].same else C_ORDER
            if not same.c_order and p.shape[0] == same.channels:
                return same
        return C_ORDER

    def _fused(self, p: Population) -> Projection | None:
        """The heaviest convolution into LIF neurons that one kernel computes with them, if any."""
        if not isinstance(p.neuron, LIF) or not self.narrow(p, self.bound[p.name]):
            return None
        fits = [
            j
            for j in self.program.incoming[p.name]
            if isinstance(conv := self.projections[j.name].convolution, PairConv)
            and j.lag == 0
            and j.pre not in self.contracted
            and (self.layout[p.name].channels == conv.outputs or conv.positions == 1)
        ]
        return max(fits, key=lambda j: self.projections[j.name].effective.size, default=None)

    def narrow(self, p: Population, bound: int) -> bool:
        """True if LIF neurons that receive at most `bound` can be computed in 32 bits."""
        small = not self.wide and p.name in self.small
        return small and lif.narrow(p, bound, self.program.arithmetic)

    def port_type(self, p: Population) -> Any:
        """The least of int8 (graded neurons, no convolution), int32, int64 that holds the sums."""
        if self.tiny(p):
            return np.int8
        return np.int64 if self.wide or self.bound[p.name] >= LIMIT else np.int32

    def tiny(self, p: Population) -> bool:
        """True if a byte holds what graded neurons receive, and no convolution brings it."""
        rule = RULES[type(p.neuron)]
        return (
            isinstance(rule, Stateless)
            and rule.small
            and not self.wide
            and self.bound[p.name] < 128
            and all(
                self.projections[j.name].convolution is None for j in self.program.incoming[p.name]
            )
        )

    def sent_type(self, p: Population) -> Any:
        """Type that holds every value `p` sends."""
        if p.neuron.binary:
            return np.int8
        largest = max(-p.low, p.high)
        if largest < 128 and (isinstance(p.neuron, Input) or not self.wide):
            return np.int8
        return np.int64 if self.wide or largest >= LIMIT else np.int32

    def sample_bytes(self, steps: int) -> int:
        """Least memory of a run in which every population sends: a lane, and all counts."""
        counted = sum(2 * steps * p.size for p in self.program if p.name not in self.contracted)
        return self.lane_bytes(steps) + counted

    def lane_bytes(self, steps: int) -> int:
        """Most memory that one lane needs at a time, over the groups in order."""
        simulated = [p for p in self.program if p.name not in self.contracted]
        # with the lists of what is not silent
        size = {
            p.name: (np.dtype(self.sent_type(p)).itemsize + 2) * p.size * steps for p in simulated
        }
        alive, most = 0, 0
        for i, (group, _) in enumerate(self.groups):
            alive += sum(size.get(n, 0) for n in group)
            # ports and one projection's sums; u and v
            each = {n: np.dtype(self.port_type(self.program[n])).itemsize for n in group}
            work = sum(self.program[n].size * each[n] * (2 * steps + 2) for n in group if n in size)
            most = max(most, alive + work)
            alive -= sum(size[n] for n, last in self.last_use.items() if last == i and n in size)
        return most
