"""Sums over the steps that a clock clears at a sample's end: a population and what clears it.

The memory M sends M[t] = M[t-1] + a[t] - C[t-1] for what it receives, a; its clear C sends M[t]
where the clock ticks and nothing elsewhere. So after a tick M starts again at 0, whatever it held,
and need not be run step by step (`toolchain/compiler/quantize/cells/accumulator.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ....toolchain.ir import facts
from ....toolchain.ir.check_facts import proved
from ....toolchain.ir.program import Program, Projection


@dataclass(frozen=True)
class Accumulator:
    """Names of memory and clear, and the projection that brings the clock."""

    memory: str
    clear: str
    tick: Projection


def planned(program: Program, groups: Iterable[tuple[str, ...]]) -> dict[str, Accumulator]:
    """The accumulators of a balanced Program that are loops of their own, by memory and by clear.

    groups  populations that depend on each other (`toolchain/ir/loops.py`)
    """
    alone = {frozenset(group) for group in groups if len(group) == 2}
    found: dict[str, Accumulator] = {}
    for fact in proved(program, facts.Accumulator):
        if {fact.memory, fact.clear} in alone:
            tick = next(j for j in program.incoming[fact.clear] if j.name == fact.tick)
            a = Accumulator(fact.memory, fact.clear, tick)
            found |= {fact.memory: a, fact.clear: a}
    return found
