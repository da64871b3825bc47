"""Sums over the steps that a clock clears at a sample's end: a population and what clears it.

The memory M sends M[t] = M[t-1] + a[t] - C[t-1] for what it hears, a; its clear C sends M[t] where
the clock ticks and nothing elsewhere. So after a tick M starts again at 0, whatever it held, and
need not be run step by step (`toolchain/compiler/quantize/cells/accumulator.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from ....toolchain.ir.last_step import clocked
from ....toolchain.ir.loops import groups
from ....toolchain.ir.program import Graded, Product, Program, Projection, Structured


@dataclass(frozen=True)
class Accumulator:
    """Names of memory and clear, the projection that brings the clock, and what M hears."""

    memory: str
    clear: str
    tick: Projection
    feeds: tuple[Projection, ...]


def find(program: Program) -> dict[str, Accumulator]:
    """The accumulators of a balanced Program, by memory and by clear."""
    ticking, found = clocked(program), dict[str, Accumulator]()
    for group in groups(program):
        if len(group) == 2:
            memory, clear = sorted(group, key=lambda n: isinstance(program[n].neuron, Product))
            a = _accumulator(program, memory, clear, ticking)
            if a is not None:
                found |= {memory: a, clear: a}
    return found


def _accumulator(
    program: Program, memory: str, clear: str, ticking: set[str]
) -> Accumulator | None:
    m, c = program[memory], program[clear]
    if m.neuron != Graded() or c.neuron != Product() or m.phase != c.phase or m.shape != c.shape:
        return None
    heard = {j for j in program.incoming[memory] if j.pre not in (memory, clear)}
    own = [j for j in program.incoming[memory] if j not in heard]
    if {(j.pre, j.lag, _unit(j)) for j in own} != {(memory, 1, 1), (clear, 1, -1)}:
        return None
    values = [j for j in program.incoming[clear] if j.port == "a_in1"]
    ticks = [j for j in program.incoming[clear] if j.port == "a_in2"]
    if len(own) != 2 or len(ticks) != 1 or ticks[0].pre not in ticking or not _one(ticks[0]):
        return None
    if any(not isinstance(j.connection, Structured) or j.lag for j in heard):
        return None
    if sorted(map(_said, values)) != sorted(map(_said, program.incoming[memory])):
        return None
    return Accumulator(
        memory, clear, ticks[0], tuple(j for j in program.incoming[memory] if j in heard)
    )


def _unit(j: Projection) -> int:
    """The weight of a projection from neuron i to neuron i, 0 for another one."""
    c = j.connection
    plain = j.weight_exp == 0 and j.pre_view is None and j.post_view is None
    same = isinstance(c, Structured) and c.pre == c.post
    return c.weight if plain and same and isinstance(c, Structured) else 0


def _one(j: Projection) -> bool:
    """Every neuron hears the one neuron of pre at the same step, with weight 1."""
    c = j.connection
    plain = j.weight_exp == 0 and j.pre_view is None and j.post_view is None and j.lag == 0
    return plain and isinstance(c, Structured) and c.weight == 1 and not c.pre


def _said(j: Projection) -> str:
    """All that a projection does, without its name, port and post."""
    return repr((j.pre, j.connection, j.weight_exp, j.lag, j.pre_view, j.post_view))
