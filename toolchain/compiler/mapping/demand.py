"""How busy populations are expected to be: events per neuron and step, and time per neuron.

Rates come from the calibration record or from a run where there is one; what neither knows is
propagated through the Program as if neurons fired independently. Only the mapping uses them:
energy and time are always reported from counted events.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from ...ir.program import (
    LIF,
    Conv2d,
    Dense,
    Population,
    Product,
    Program,
    Projection,
    Sparse,
    Structured,
)
from ...targets.target import Target

UNKNOWN = 0.1
"""Events per neuron and step of a population of which nothing is known."""
Rates = Mapping[str, float]


def rates(program: Program, known: Rates) -> dict[str, float]:
    """Events per neuron and model step of every population, in 0..1."""
    out: dict[str, float] = {}
    for p in program:
        found = known.get(p.name)
        out[p.name] = min(1.0, found) if found is not None else _guess(program, p, out)
    return out


def _guess(program: Program, population: Population, before: Rates) -> float:
    incoming = [j for j in program.incoming[population.name] if j.pre in before]
    if not incoming or (isinstance(population.neuron, LIF) and population.stateful):
        return UNKNOWN
    fans = [(before[j.pre], fan_in(program, j)) for j in incoming]
    any_of = [1 - (1 - rate) ** fan for rate, fan in fans]
    joint = isinstance(population.neuron, LIF) and len(fans) > 1 and population.neuron.vth > 0
    if joint or isinstance(population.neuron, Product):  # all of its inputs at once
        return float(prod(any_of))
    return 1 - float(prod(1 - rate for rate in any_of))


def fan_in(program: Program, j: Projection) -> float:
    """Mean synapses of `j` onto one post neuron (borders of convolutions ignored)."""
    match j.connection:
        case Dense() as c:
            return float(c.weight.shape[1])
        case Sparse() as c:
            return c.data.size / max(program[j.post].size, 1)
        case Conv2d() as c:
            taps = prod(c.weight.shape[1:])
            inside = prod(c.in_shape[1:]) * prod(c.stride) / prod(c.out_shape[1:])
            return float(min(taps, taps * max(inside, 1)))
        case Structured() as c:
            shared = {label for label, _ in c.post}
            return float(prod(n for label, n in c.pre if label not in shared))
        case _:
            return 1.0


def seconds_per_neuron(program: Program, target: Target, rate: Rates) -> dict[str, float]:
    """Time that one neuron of each population keeps its core busy for in a step.

    The larger of its update and its synaptic operations: the terms of a step's time that add up
    over a core's neurons.
    """
    cost = {name: q.value for name, q in target.costs.items()}
    out = {}
    for p in program:
        update = cost["t_access"] + cost["t_update"] + rate[p.name] * cost["t_fired"]
        synops = 0.0
        for j in program.incoming[p.name]:
            kind = {Dense: "dense", Sparse: "sparse"}.get(type(j.connection), "conv")
            synops += rate[j.pre] * fan_in(program, j) * cost[f"t_synop_{kind}"]
        out[p.name] = max(update, synops)
    return out
