"""Ticks that silence a copy of a neuron at a sample's last step, whatever was trained.

The copy feeds back (`compiler/quantize/cells`); the tick outweighs all that can drive it. Training
changes what can, so the tick follows: it is as it was where that is enough, else larger.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..compiler.quantize.fit.terms import constant_terms
from ..ground.arith import INPUT_SHIFT
from ..ir.facts import Cell
from ..ir.last_step import ticking
from ..ir.program import LIF, MultiLevel, Program, Projection, Structured
from ..ir.sample_end import most_at_the_end
from .terms import with_terms


def ticked(program: Program) -> tuple[str, ...]:
    """Spiking populations that a tick silences."""
    silent = [n for f in program.known(Cell) for n in f.silent]
    return tuple(n for n in silent if isinstance(program[n].neuron, LIF | MultiLevel))


def with_ticks(program: Program) -> Program:
    """The same with larger ticks where they do not silence any more."""
    for name in ticked(program):
        missing = _missing(program, name)
        if missing:
            program = _more(program, name, missing)
    return program


def _missing(program: Program, name: str) -> int:
    """What the tick has to take away besides: below 0 where it holds levels below 0 down."""
    q = program[name]
    low, high = most_at_the_end(program, q)
    if isinstance(q.neuron, LIF):
        return max(-(-int(high.max(initial=0)) >> INPUT_SHIFT), 0)
    assert isinstance(q.neuron, MultiLevel)
    if q.neuron.up:
        return max(int(high.max(initial=0)) - q.neuron.up[0], 0)
    return min(int(low.min(initial=0)) - q.neuron.down[0], 0)


def _more(program: Program, name: str, missing: int) -> Program:
    """With a tick that takes `missing` more."""
    clocks = ticking(program)
    old = [j for j in program.incoming[name] if j.pre in clocks and j.lag == 0]
    if not old:
        return program
    total = -missing + sum(_weight(j) << j.weight_exp for j in old)
    c = old[0].connection
    assert isinstance(c, Structured)
    terms = constant_terms(np.array([total]), program.arithmetic)
    return with_terms(
        program, old, ((replace(c, weight=int(t.weight[0])), t.exponent) for t in terms)
    )


def _weight(j: Projection) -> int:
    assert isinstance(j.connection, Structured)
    return j.connection.weight
