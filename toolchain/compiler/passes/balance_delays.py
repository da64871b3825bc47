"""Delay balancing: when each population computes, and how long each spike travels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from ...ground.errors import UnsupportedError
from ...ir.check_program import delays_balanced, phases_set
from ...ir.phases import phases_of
from ...ir.program import Graded, Population, Program, Projection, Structured
from .base import Condition

BALANCED = Condition(
    "delays that fit the phases",
    lambda program: not [*phases_set(program), *delays_balanced(program)],
)


@dataclass(frozen=True)
class BalanceDelays:
    """Give every population a phase and every projection the delay that makes model steps meet.

    Before: in -> a -> b -> add, in -> add (a skip); no phases, no delays
    After:  in, a, b, add have phases 0, 1, 2, 3; in -> add has delay 3, the others 1.
            With max_delay = 2: in -(2)-> in.relay1 -(1)-> add

    Phases are the least that satisfy phase(post) >= phase(pre) + 1 - lag for every projection
    (delay = phase(post) - phase(pre) + lag >= 1). A clock comes as late as its first reader
    allows, and never before phase 1: its tick at phase - 1 clears accumulators before sample 0.
    Populations come out in the order of their phases.
    """

    name: ClassVar[str] = "balance-delays"
    requires: ClassVar[tuple[Condition, ...]] = ()
    ensures: ClassVar[tuple[Condition, ...]] = (BALANCED,)

    max_delay: int

    def run(self, program: Program) -> Program:
        """The balanced Program.

        Raises UnsupportedError: SFX-E320 for a loop that does not fit at one model step per
        hardware step, SFX-E321 for a max_delay below 1.
        """
        if self.max_delay < 1:
            raise UnsupportedError(
                "SFX-E321",
                f"the longest delay is {self.max_delay} steps, and a spike needs at least 1",
                hint="give the target's max_delay, 1 or more",
            )
        phases = phases_of(program)
        populations = [replace(p, phase=phases[p.name]) for p in program]
        projections = [
            replace(j, delay=phases[j.post] - phases[j.pre] + j.lag) for j in program.projections
        ]
        relayed = _with_relays(populations, projections, self.max_delay)
        # A lag-0 projection leads to a later phase, so this order is topological.
        order = sorted(relayed[0], key=lambda p: p.phase)
        return replace(program, populations=tuple(order), projections=tuple(relayed[1]))


def _with_relays(
    populations: Iterable[Population], projections: Iterable[Projection], max_delay: int
) -> tuple[list[Population], list[Projection]]:
    """Projections longer than max_delay leave from a relay of their pre, `max_delay` apart."""
    pops = {p.name: p for p in populations}
    out: list[Projection] = []
    hops: list[Projection] = []
    chains: dict[str, list[str]] = {name: [name] for name in pops}
    taken = {j.name for j in projections}
    for j in projections:
        count = (j.delay - 1) // max_delay
        chain = chains[j.pre]
        while len(chain) <= count:
            relay = _relay(pops[j.pre], pops[chain[-1]], len(chain), max_delay, pops)
            hops.append(_hop(pops[chain[-1]], relay, max_delay, taken))
            taken.add(hops[-1].name)
            pops[relay.name] = relay
            chain.append(relay.name)
        out.append(replace(j, pre=chain[count], delay=j.delay - count * max_delay))
    return list(pops.values()), out + hops


def _relay(
    origin: Population, before: Population, number: int, delay: int, pops: dict[str, Population]
) -> Population:
    name = f"{origin.name}.relay{number}"
    while name in pops:
        name += "_"
    return replace(origin, name=name, neuron=Graded(), phase=before.phase + delay, module="")


def _hop(pre: Population, relay: Population, delay: int, taken: set[str]) -> Projection:
    name = f"{pre.name}->{relay.name}"
    while name in taken:
        name += "_"
    each = Structured.one_to_one(pre.shape)
    return Projection(name, pre.name, relay.name, each, delay=delay)
