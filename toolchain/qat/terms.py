"""A number that comes in several projections, whose mantissas add up: another one in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ..ir.program import Connection, Program, Projection


def with_terms(
    program: Program, old: Sequence[Projection], terms: Iterable[tuple[Connection, int]]
) -> Program:
    """The Program with other connections and exponents in the place of `old`, as many as it takes.

    Names are those of `old` as far as they go.
    """
    gone = {j.name for j in old}
    taken = {j.name for j in program.projections} - gone
    made: list[Projection] = []
    for i, (connection, exponent) in enumerate(terms):
        name = old[i].name if i < len(old) else f"{old[0].name}#{i}"
        while name in taken:
            name += "+"
        taken.add(name)
        made.append(replace(old[0], name=name, connection=connection, weight_exp=exponent))
    kept: list[Projection] = []
    for j in program.projections:
        if j.name == old[0].name:
            kept += made
        elif j.name not in gone:
            kept.append(j)
    return replace(program, projections=tuple(kept))
