"""Membranes that are read out may be all that their register holds, whatever is trained.

The compiler declares what a membrane reaches with the weights that it saw. It saturates, so any
weights are legal once the whole register is declared.
"""

from __future__ import annotations

from dataclasses import replace

from ..ir.program import LI, Graded, Population, Program, Structured


def widened(program: Program) -> Program:
    """The same with every LI, and what only passes its membrane on, declared as wide as can be."""
    top = program.arithmetic.state_limit - 1
    wide = {q.name for q in program if isinstance(q.neuron, LI)}
    for q in program:
        if _passes_on(program, q, wide):
            wide.add(q.name)
    if any(j.pre in wide and j.post not in wide for j in program.projections):
        return program  # what reads it is not known to hold as much
    changed = (replace(q, low=-top, high=top) if q.name in wide else q for q in program)
    return replace(program, populations=tuple(changed)) if wide else program


def holds_all(program: Program, q: Population) -> bool:
    """Whether nothing that the membrane can be is outside of what the population declares."""
    return q.high == -q.low == program.arithmetic.state_limit - 1


def _passes_on(program: Program, q: Population, wide: set[str]) -> bool:
    """True if each of its neurons sends the one membrane that it reads."""
    incoming = program.incoming[q.name]
    if not isinstance(q.neuron, Graded) or len(incoming) != 1:
        return False
    (j,) = incoming
    c = j.connection
    alone = isinstance(c, Structured) and c.weight == 1 and program[j.pre].size == q.size
    return alone and j.pre in wide and j.weight_exp == 0
