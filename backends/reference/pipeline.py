"""Hardware steps: every population computes at every step, spikes cross after their delays."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ir.program import Population, Program, Projection
from . import neurons, synapses
from .types import Ports

Observer = Callable[[Population, int, neurons.State, Ports], None]
"""Called with (population, h, state before the update and after the reset, ports)."""

Replacement = Callable[[Population, int], IntArray | None]
"""(population, h) -> what it sends instead [*shape], or None: tests inject garbage with it."""


def _ignore(population: Population, h: int, state: neurons.State, ports: Ports) -> None:
    pass


def send_as_computed(population: Population, h: int) -> IntArray | None:
    """Replace nothing."""
    return None


class Pipeline:
    """A balanced Program on B lanes that share the clock but no spikes.

    x [B, H, *input shape] is fed from step 0 on, then zeros. `sent` and `state` hold what each
    population sent and its state after the last step.
    """

    def __init__(
        self,
        program: Program,
        x: IntArray,
        *,
        observe: Observer = _ignore,
        replace: Replacement = send_as_computed,
    ) -> None:
        self.program, self.x = program, neurons.encoded(program.input, x)
        self.lanes = len(x)
        self.observe, self.replace = observe, replace
        self.rules = synapses.build_all(program)
        self.state = {p.name: neurons.initial(p.neuron, (self.lanes, *p.shape)) for p in program}
        self.sent: dict[str, IntArray] = {}
        # What was sent in the last `depth` steps, at index h mod depth; nothing before step 0.
        self._history = {
            p.name: np.zeros((history_depth(program, p), self.lanes, *p.shape), dtype=np.int64)
            for p in program
        }

    def steps(self, count: int) -> Iterator[int]:
        """Run hardware steps 0..count-1, yielding each after it is done."""
        for h in range(count):
            self.sent = {p.name: self._send(p, h) for p in self.program}
            for name, s in self.sent.items():
                past = self._history[name]
                past[h % len(past)] = s
            yield h

    def _send(self, p: Population, h: int) -> IntArray:
        s = self._compute(p, h)
        instead = self.replace(p, h)
        if instead is None:
            return s
        repeated: IntArray = np.repeat(instead[None], self.lanes, axis=0)
        return repeated

    def _compute(self, p: Population, h: int) -> IntArray:
        timesteps = self.program.timesteps
        driven = neurons.host(p.neuron)
        if driven is not None:
            return driven.sends(self.x, p, h, timesteps)

        def arriving(j: Projection) -> IntArray:
            past = self._history[j.pre]
            crossed: IntArray = past[(h - j.delay) % len(past)]
            return crossed

        ports = synapses.gather(self.program, p, self.rules, arriving, self.lanes)
        state = self.state[p.name]
        if p.stateful and (h - p.phase) % timesteps == 0:
            # LIFReset, interval T, offset phase + 1: before the update (integer semantics 2.1, 5)
            state = neurons.initial(p.neuron, (self.lanes, *p.shape))
        self.observe(p, h, state, ports)
        self.state[p.name], s = neurons.step(p.neuron, state, ports, self.program.arithmetic)
        return s


def history_depth(program: Program, p: Population) -> int:
    """Steps that must be remembered of what `p` sent: its longest delay."""
    return max((j.delay for j in program.outgoing[p.name]), default=1)
