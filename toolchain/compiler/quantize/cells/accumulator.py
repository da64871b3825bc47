"""An integrator of whole numbers on the chip, cleared between samples without losing a step.

    M[h] = new[h] + M[h-1] - C[h-1]      Graded, self-projection +1
    C[h] = M[h] * clock[h]               Product of M's own inputs and a clock input

The clock is 1 only at a sample's last step, so at the boundary M[h] = new[h] (semantics 6.2).

Where the total is wanted at every step (attention over time that is not causal), note that C sends
it: the sample's total at its last step, and 0 at all others. So

    H[t] = C[t] + C[t+1] + ... + C[t+T-1]   Graded, T projections with lags 0, -1, ..., -(T-1)

is the total of t's own sample at each of its steps: among T steps in a row there is one last step,
and it is this sample's. A negative lag reads later model steps, so delay balancing lets H, and all
that reads it, wait T - 1 steps longer. H keeps no state: nothing has to be cleared.

Where the steps of a sample come in groups of g (attention over chunks of steps), a clock that ticks
at the end of every group makes the same of each group: M starts again there, C sends the group's
sum at its last step, and H reads g lags. A sample is a whole number of groups, so no group reaches
into the next sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ....ir import facts
from ....ir import graph as g
from ....ir import program as p
from ....ir.neurons.clock import CLOCK


@dataclass(frozen=True)
class Accumulator:
    """The populations of one accumulator and the projections between them."""

    memory: p.Population
    clear: p.Population
    clock: p.Population
    loops: tuple[p.Projection, ...]

    @property
    def fact(self) -> facts.Accumulator:
        """What the Program keeps of it."""
        return facts.Accumulator(self.memory.name, self.clear.name, self.loops[-1].name)

    def held(self, node: g.Node, steps: int) -> tuple[p.Population, list[p.Projection]]:
        """A population that sends the total of all so many steps at each, and what feeds it."""
        name, clear = node.name, self.clear.name
        total = replace(self.memory, name=name, module=node.module)
        each = p.Structured.one_to_one(node.shape)
        reads = [
            p.Projection(f"{clear}->{name}:{i}", clear, name, each, lag=-i) for i in range(steps)
        ]
        return total, reads

    def to_clear(self, feed: p.Projection) -> p.Projection:
        """A projection that feeds the memory, fed to the clear population as well."""
        name = feed.name.replace(f"->{self.memory.name}", f"->{self.clear.name}")
        return replace(feed, name=name, post=self.clear.name, port="a_in1")


def accumulator(node: g.Node, low: int, high: int, group: int = 0) -> Accumulator:
    """The accumulator of an Integrator node whose values stay in [low, high].

    group  steps after which it starts again, where that is before the sample's end
    """
    memory = p.Population(node.name, node.shape, p.Graded(), low, high, -1, node.module)
    clear = replace(memory, name=f"{node.name}.clear", neuron=p.Product(), module="")
    name = f"{CLOCK}.{group}" if group else CLOCK
    clock = p.Population(name, (1,), p.Clock(group), 0, 1)
    identity, minus = (p.Structured.one_to_one(node.shape, w) for w in (1, -1))
    m, c = memory.name, clear.name
    loops = (
        p.Projection(f"{m}->{m}", m, m, identity, "a_in", lag=1),
        p.Projection(f"{c}->{m}", c, m, minus, "a_in", lag=1),
        p.Projection(f"{m}->{c}", m, c, identity, "a_in1", lag=1),
        p.Projection(f"{c}->{c}", c, c, minus, "a_in1", lag=1),
        p.Projection(f"{name}->{c}", name, c, p.Structured.to_all(node.shape), "a_in2"),
    )
    return Accumulator(memory, clear, clock, loops)
