"""Event counts and read-out of samples that run side by side."""

from __future__ import annotations

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ir.program import Population, Program
from ..base import Counts
from . import neurons
from .types import Ports


class Chunk:
    """Adds up events, active neurons and the output over the model steps of one chunk."""

    def __init__(self, program: Program, lanes: int) -> None:
        self.program, self.lanes = program, lanes
        shapes = {p.name: (program.timesteps, *p.shape) for p in program}
        self.events = {n: np.zeros(shape, dtype=np.int64) for n, shape in shapes.items()}
        self.active = {n: np.zeros(shape, dtype=np.int64) for n, shape in shapes.items()}
        output = program[program.readout.population]
        self.left = {p.name: 0 for p in program if p.counted}
        self.sums = np.zeros((lanes, output.size), dtype=np.int64)
        self.sums += np.asarray(program.readout.offset, dtype=np.int64)
        self.largest = np.full((lanes, output.size), np.iinfo(np.int64).min)

    def before(self, p: Population, h: int, state: neurons.State, ports: Ports) -> None:
        """Observe a population before its update at hardware step h."""
        t = h - p.phase
        if 0 <= t < self.program.timesteps:
            self.active[p.name][t] += neurons.active(p.neuron, state, ports).sum(axis=0)

    def after(self, h: int, sent: dict[str, IntArray]) -> None:
        """Observe what every population sent at hardware step h."""
        for name, s in sent.items():
            t = h - self.program[name].phase
            if 0 <= t < self.program.timesteps:
                self.events[name][t] += np.count_nonzero(s, axis=0)
                if name in self.left:
                    self.left[name] += self.program[name].left(s)
                if name == self.program.readout.population:
                    self._read(t, s.reshape(self.lanes, -1))

    def _read(self, t: int, s: IntArray) -> None:
        """The output [lanes, classes] at model step t."""
        readout = self.program.readout
        if readout.largest:
            more = np.maximum(self.largest, s)
            self.sums += more if t == 0 else more - self.largest
            self.largest = more
        else:
            self.sums += s * readout.weights[t] if readout.weights else s

    @property
    def counts(self) -> Counts:
        """What was counted, over all lanes."""
        return Counts(self.lanes, self.events, self.active)
