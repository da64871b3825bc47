"""At which steps of a sample clocks, and populations that they gate, provably send nothing.

A Product of which one port receives clocks' ticks alone, whatever their weights, sends 0 at every
step of a sample at which none of them arrives: that of step T - 1 arrives with lag L at step
(T - 1 + L) mod T. So such a population, or a clock, may be read with a lag L > 0 where it is silent
at the last L steps of a sample, and with a lag -L < 0 where it is silent at the first L
(semantics 6.6).
"""

from __future__ import annotations

from collections.abc import Mapping

from .last_step import ticking
from .program import Graded, Product, Program, Projection

Steps = frozenset[int]


def silent_steps(program: Program) -> Mapping[str, Steps]:
    """Population -> steps of a sample at which it sends 0; of clocks, gated Products, relays."""
    ticks, steps = ticking(program), program.timesteps
    found: dict[str, Steps] = {}
    for p in program:
        reads = program.incoming[p.name]
        if p.name in ticks:
            found[p.name] = frozenset(t for t in range(steps) if (t + 1) % ticks[p.name])
        elif isinstance(p.neuron, Product):
            ports: dict[str, list[Projection]] = {port: [] for port in p.neuron.ports}
            for j in reads:
                ports[j.port].append(j)
            gates = [g for g in ports.values() if g and all(j.pre in ticks for j in g)]
            if gates:
                heard = [_arrivals(g, ticks, steps) for g in gates]
                found[p.name] = frozenset(range(steps)) - frozenset.intersection(*heard)
        elif isinstance(p.neuron, Graded) and len(reads) == 1:
            (j,) = reads
            if j.lag == 0 and j.pre in found:
                found[p.name] = found[j.pre]
    return found


def _arrivals(gate: list[Projection], ticks: Mapping[str, int], steps: int) -> Steps:
    """Steps of a sample at which some tick arrives through one of these projections."""
    return frozenset(t for j in gate for t in range(steps) if (t + 1 - j.lag) % ticks[j.pre] == 0)


def stays_inside(j: Projection, silent: Mapping[str, Steps], timesteps: int) -> bool:
    """Whether `j`, which has a lag, brings nothing of one sample into another."""
    of = silent.get(j.pre, frozenset())
    if abs(j.lag) >= timesteps:
        return False
    outside = range(timesteps - j.lag, timesteps) if j.lag > 0 else range(-j.lag)
    return of.issuperset(outside)
