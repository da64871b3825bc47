"""The populations and projections of one neuron node that needs several populations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ....ground.arith import INPUT_SHIFT, IntArray, scale_exponent
from ....ground.arithmetic import Arithmetic
from ....ir import graph as g
from ....ir import program as p
from ....ir.bound import Bound
from ....ir.carried import Constant
from ....ir.connections import value_bounds
from ....ir.neurons.clock import CLOCK
from ....ir.wires import Wire, target_size
from ..fit.terms import Term, constant_terms
from ..state.quantizer_state import Inputs, QuantizerState, with_weights
from .seen import Ends, Seen

Terms = tuple[Term, ...]
"""The weights of one wire."""
IntEnds = tuple[int, int]
"""Least and greatest value."""
GATE = "gate"
ONE = "one"
SCALAR = (("a0", 1),)
DRIVE = 1 << INPUT_SHIFT
"""Bias that takes a threshold of 0: one unit of a_in."""


def helpers(
    widths: Arithmetic,
) -> dict[str, tuple[p.Population, tuple[p.Projection, ...]]]:
    """Populations of one neuron that all nodes share, with what drives them.

    clock  from the host: 1 at a sample's last step (t = T-1)
    gate   1 at every step but a sample's last: a bias drives it, the clock's tick outweighs that
    one    1 at every step
    """
    full = widths.full_decay
    always = p.LIF(full, full, 0, np.full((), DRIVE, np.int64), reset=False)
    tick = p.Projection(f"{CLOCK}->{GATE}", CLOCK, GATE, p.Structured((), SCALAR, -2))
    return {
        CLOCK: (p.Population(CLOCK, (1,), p.Clock()), ()),
        GATE: (p.Population(GATE, (1,), always), (tick,)),
        ONE: (p.Population(ONE, (1,), always), ()),
    }


def add_helper(
    name: str,
    widths: Arithmetic,
    populations: list[p.Population],
    projections: list[p.Projection],
    before: Sequence[p.Population] = (),
) -> str:
    """Append one of the shared `helpers` and all that drives it, unless it is there or `before`."""
    if not any(q.name == name for q in (*before, *populations)):
        population, feeds = helpers(widths)[name]
        for j in feeds:
            add_helper(j.pre, widths, populations, projections, before)
        populations.append(population)
        projections.extend(feeds)
    return name


@dataclass(frozen=True, eq=False)
class Origin:
    """Projections that carry a wire's weights, or a bias of `population`, which has no wire.

    scale  what they bring per 1.0 of the layer's weights, or per threshold
    """

    projections: tuple[str, ...]
    scale: float
    wire: Wire | None = None
    population: str = ""

    def note(self, state: QuantizerState) -> None:
        """For those who train them on."""
        if self.wire is not None:
            state.notes.carry(self.wire, self.projections, self.scale)
        else:
            state.notes.constants.append(Constant(self.population, self.projections, self.scale))


@dataclass(eq=False)
class Draft:
    """What one attempt at a scale has made so far; nothing reaches the Program before it fits."""

    state: QuantizerState
    node: g.Node
    inputs: Inputs
    seen: Seen | None = None
    """What the node's states reached on data, where their worst case fits no register."""
    populations: list[p.Population] = field(default_factory=list)
    projections: list[p.Projection] = field(default_factory=list)
    noted: list[Origin] = field(default_factory=list)

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Which weights and biases of the model its projections carry."""
        return tuple(self.noted)

    @property
    def size(self) -> int:
        """Neurons of the node."""
        return target_size(self.node)

    @property
    def may_measure(self) -> bool:
        """There are data to see ranges on, and nobody wants proofs alone."""
        return self.state.lead is not None and not self.state.options.proved

    def fresh(self, seen: Seen | None) -> Draft:
        """Another attempt at the node, with these ranges."""
        return Draft(self.state, self.node, self.inputs, seen)

    def is_own(self, wire: Wire) -> bool:
        """True if the wire carries the node's own spikes of the step before."""
        return wire.source == self.node.name

    def add(self, part: str, neuron: p.NeuronProgram, low: int = 0, high: int = 1) -> str:
        """A population of the node's shape; returns its name. Without `part`: the node's own."""
        name = f"{self.node.name}.{part}" if part else self.node.name
        module = "" if part else self.node.module
        self.populations.append(
            p.Population(name, self.node.shape, neuron, low, high, -1, module),
        )
        return name

    def add_graded(self, part: str, neuron: p.NeuronProgram, proven: IntEnds, seen: Ends) -> str:
        """A population of the range that is proven or, where that is wider, of the one `seen`."""
        low = max(min(int(np.floor(seen[0])), -1), proven[0])
        high = min(max(int(np.ceil(seen[1])), 2), proven[1])
        name = self.add(part, neuron, low, high)
        if (low, high) != proven:
            assert self.seen is not None, "without data the range is the proven one"
            measured = p.Measured(*proven, 0, 0, self.seen.margin)
            self.populations[-1] = replace(self.populations[-1], measured=measured)
        return name

    def need(self, name: str) -> str:
        """One of the shared `helpers`, added with all that drives it."""
        state = self.state
        return add_helper(
            name, state.arithmetic, self.populations, self.projections, state.populations
        )

    def alter(self, part: str, neuron: p.NeuronProgram) -> None:
        """Give a population another neuron program."""
        name = f"{self.node.name}.{part}"
        self.populations = [
            replace(q, neuron=neuron) if q.name == name else q for q in self.populations
        ]

    def has(self, part: str) -> bool:
        """Whether there is such a population."""
        return any(q.name == f"{self.node.name}.{part}" for q in self.populations)

    def own(self, terms: Sequence[Terms]) -> Iterator[tuple[Wire, p.Projection, Terms]]:
        """The wires from the node to itself."""
        for wire, bare, t in zip(self.inputs.wires, self.inputs.bare, terms, strict=True):
            if self.is_own(wire):
                yield wire, bare, t

    # --- projections ---

    def wire(self, wire: Wire, bare: p.Projection, terms: Terms, to: str, **on: Any) -> None:
        """A wire of the model, with `terms` for weights. on: pre, port, lag where they differ."""
        names = tuple(
            self._connect(replace(with_weights(bare, wire, t.weight, t.exponent), post=to, **on))
            for t in terms
        )
        self.noted.append(Origin(names, terms[0].scale if terms else 0.0, wire))

    def same(self, pre: str, to: str, value: int, exponent: int = 0, **on: Any) -> None:
        """Each neuron to its like, with weight value << exponent."""
        for t in constant_terms(np.array([value]), self.state.arithmetic):
            c = p.Structured.one_to_one(self.node.shape, int(t.weight[0]))
            self._connect(p.Projection("", pre, to, c, weight_exp=t.exponent + exponent, **on))

    def to_all(self, pre: str, to: str, value: int, **on: Any) -> None:
        """One neuron (a helper) to all, with weight `value`."""
        for t in constant_terms(np.array([value]), self.state.arithmetic):
            c = p.Structured.to_all(self.node.shape, int(t.weight[0]))
            self._connect(p.Projection("", self.need(pre), to, c, weight_exp=t.exponent, **on))

    def constant(self, to: str, values: IntArray, **on: Any) -> tuple[str, ...]:
        """`values` [n] into each neuron at every step; the projections' names."""
        names: list[str] = []
        for t in constant_terms(values, self.state.arithmetic):
            c = p.Dense(t.weight.reshape(-1, 1))
            j = p.Projection("", self.need(ONE), to, c, weight_exp=t.exponent, **on)
            names.append(self._connect(j))
        return tuple(names)

    def bias(self, to: str, values: IntArray, threshold: float, half: int = 0) -> None:
        """A constant that is the model's bias, but for `half`; threshold: one, in its units."""
        names = self.constant(to, values)
        if np.any(values != half):
            self.noted.append(Origin(names, threshold, population=to))

    def _connect(self, j: p.Projection) -> str:
        base = f"{j.pre}->{j.post}" + ("" if j.port in ("a_in", "a_in1") else f":{j.port}")
        taken = {k.name for k in self.projections}
        name, i = base, 0
        while name in taken:
            i += 1
            name = f"{base}#{i}"
        self.projections.append(replace(j, name=name))
        return name

    # --- bounds ---

    def reach(
        self,
        to: str,
        port: str = "a_in",
        only: Sequence[str] | None = None,
        *,
        worst: bool = False,
    ) -> Bound:
        """What `to` can receive at a step, apart from the clock's ticks; `only` from these.

        worst: also where the range of a population before it is measured.
        """
        known = {q.name: q for q in (*self.state.populations, *self.populations)}
        low = high = np.zeros(self.size, np.int64)
        for j in self.projections:
            listed = only is None or j.pre in only
            if j.post != to or j.port != port or j.pre == CLOCK or not listed:
                continue
            pre = known[j.pre]
            sent = (pre.low, pre.high)
            if worst and pre.measured is not None:
                sent = (pre.measured.proven_low, pre.measured.proven_high)
            ends = value_bounds(j, pre.size, self.size, *sent)
            low = low + scale_exponent(ends[0], j.weight_exp)
            high = high + scale_exponent(ends[1], j.weight_exp)
        return Bound(low, high)
