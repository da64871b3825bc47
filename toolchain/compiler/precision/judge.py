"""How good one choice of bits is: accuracy on labelled samples and synaptic memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ...ground.arith import IntArray
from ...ground.arithmetic import Arithmetic
from ...ir import graph as g
from ...ir.evaluate import readout, run
from ...ir.graph import FloatArray
from ...ir.matched import Silence
from ...ir.program import Program
from ...ir.record import LayerRecord
from ..passes.balance_delays import BalanceDelays
from ..passes.integer_slots import left_graded
from ..quantize.options import Options
from ..quantize.quantize import quantize

Runner = Callable[[Program, IntArray], IntArray]
"""Read-out sums [K, classes] of a balanced Program on x [K, T, *input shape]."""


@dataclass(frozen=True)
class Score:
    """right     samples that are classified right, of all
    error     squared error of the read-out against the float model, over its variance
    memory    bits of all synaptic weights
    """

    right: int
    error: float
    memory: int


@dataclass(eq=False)
class Judge:
    """Scores choices of bits for one graph in neuron form; each choice is counted once.

    calibration [K, T, ...] chooses scales; x [N, T, ...] and y [N] judge. Both should be training
    or hold-out samples: what is chosen on test samples says nothing about others.
    """

    graph: g.Graph
    calibration: IntArray
    x: IntArray
    y: IntArray
    runner: Runner
    max_delay: int
    arithmetic: Arithmetic
    options: Options = field(default_factory=Options)
    """Of all choices alike, but their bits of single layers and their effort."""
    effort: float = 0.0
    known: dict[tuple[tuple[str, int], ...], Score] = field(default_factory=dict)
    records: tuple[LayerRecord, ...] = ()
    silent: tuple[Silence, ...] = ()
    witness: Mapping[str, Any] | None = None
    """What the torch model's run beside its graph found; None: there is not a torch model."""

    def __post_init__(self) -> None:
        steps = run(self.graph, self.x.astype(np.float64), keep=[self.output])[self.output]
        op = self.graph[self.output].op
        if isinstance(op, g.Output) and op.reduce == "none":
            steps = steps.sum(axis=1)  # spikes of every step, as a .nir file gives them: counted
        self.real: FloatArray = readout(self.graph, steps).reshape(len(self.x), -1)

    @property
    def graded(self) -> tuple[str, ...]:
        """Integer neurons that send numbers though the options ask for slots."""
        return left_graded(self.graph, self.options.integer_spikes)

    @property
    def output(self) -> str:
        """Name of the read-out node."""
        return self.graph.of_type(g.Output)[0].name

    @property
    def float_right(self) -> int:
        """Samples that the float model gets right."""
        return int(np.sum(self.real.argmax(axis=1) == self.y))

    def score(self, layers: Mapping[str, int], effort: float | None = None) -> Score:
        """The score of these bits; layers that are not named have those of the options."""
        effort = self.effort if effort is None else effort
        key = (("", round(1000 * effort)), *sorted(layers.items()))
        if key not in self.known:
            self.known[key] = self._score(layers, effort)
        return self.known[key]

    def _score(self, layers: Mapping[str, int], effort: float) -> Score:
        options = replace(self.options, layers={**self.options.layers, **layers}, effort=effort)
        made = quantize(self.graph, self.calibration, options=options, arithmetic=self.arithmetic)
        if not self.records:
            self.records, self.silent = made.records, made.silent
        program = BalanceDelays(self.max_delay).run(made.program)
        sums = self.runner(program, self.x)
        right = int(np.sum(sums.argmax(axis=1) == self.y))
        off = sums / program.readout.scale - self.real
        variance = float(np.sum((self.real - self.real.mean(axis=0)) ** 2)) or 1.0
        memory = sum(r.memory_bits for r in made.records)
        return Score(right, float(np.sum(off**2)) / variance, memory)

    def layers(self) -> tuple[str, ...]:
        """Populations whose weights are rounded, in order."""
        self.score({})
        return tuple(r.population for r in self.records if not r.exact)
