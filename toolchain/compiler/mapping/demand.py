"""How busy populations are expected to be: events per neuron and step, and time per neuron.

Rates come from the calibration record or from a run where there is one; what neither knows is
propagated through the Program as if neurons fired independently. Only the mapping uses them:
energy and time are always reported from counted events.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import NamedTuple

from ...ir.program import Population, Program, Projection
from ...targets.memory import SYNOP
from ...targets.target import Target

UNKNOWN = 0.1
"""Events per neuron and step of a population of which nothing is known."""
Rates = Mapping[str, float]


class Seconds(NamedTuple):
    """Of one neuron in a step: its update, its synaptic operations. A core does both at once."""

    update: float
    synapses: float


def rates(program: Program, known: Rates) -> dict[str, float]:
    """Events per neuron and model step of every population, in 0..1."""
    out: dict[str, float] = {}
    for p in program:
        found = known.get(p.name)
        out[p.name] = min(1.0, found) if found is not None else _guess(program, p, out)
    return out


def _guess(program: Program, population: Population, before: Rates) -> float:
    incoming = [j for j in program.incoming[population.name] if j.pre in before]
    if not incoming or population.stateful:
        return UNKNOWN
    fans = [(before[j.pre], fan_in(program, j)) for j in incoming]
    any_of = [1 - (1 - rate) ** fan for rate, fan in fans]
    if population.neuron.joint(len(fans)):
        return float(prod(any_of))
    return 1 - float(prod(1 - rate for rate in any_of))


def fan_in(program: Program, j: Projection) -> float:
    """Mean synapses of `j` onto one post neuron (borders of convolutions ignored)."""
    return j.connection.mean_fan_in(program[j.post].size)


def seconds_per_neuron(program: Program, target: Target, rate: Rates) -> dict[str, Seconds]:
    """Time that one neuron of each population keeps its core busy for in a step."""
    cost = {name: q.value for name, q in target.costs.items()}
    out = {}
    for p in program:
        update = cost["t_access"] + cost["t_update"] + rate[p.name] * cost["t_fired"]
        synops = 0.0
        for j in program.incoming[p.name]:
            kind = SYNOP[j.connection.storage]
            synops += rate[j.pre] * fan_in(program, j) * cost[f"t_synop_{kind}"]
        out[p.name] = Seconds(update, synops)
    return out


def message_bits(program: Program, target: Target) -> dict[str, float]:
    """Bits of a message of each population."""
    binary = target.costs["message_bits"].value
    graded = target.costs.get("graded_message_bits", target.costs["message_bits"]).value
    return {p.name: graded if p.graded else binary for p in program}
