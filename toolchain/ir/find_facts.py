"""The facts of a Program that states none: of a `.net`, built by hand, or written by an older sfx.

The only place that guesses structure from constants. It proposes, and keeps what `check_facts`
proves. Run once, where such a Program comes in; a test holds it beside what the compiler writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from .check_facts import Prover, relayed_from
from .facts import Accumulator, Cell, Coincidence, Fact, SampleTotal, in_order
from .program import LIF, Graded, Product, Program


def with_facts(program: Program) -> Program:
    """`program` as it is if it states facts, else with those that are found."""
    if program.facts is not None:
        return program
    totals = tuple(_totals(Prover(program)))
    # bounds, of which silence is proved, count a total once
    prover = Prover(replace(program, facts=totals))
    proposed = [*_coincidences(program), *_accumulators(prover)]
    kept = [f for f in proposed if not prover.fault(f)]
    held = {n for f in kept if isinstance(f, Accumulator) for n in (f.memory, f.clear)}
    return replace(program, facts=in_order([*totals, *kept, *_cells(prover, held)]))


def _coincidences(program: Program) -> Iterator[Fact]:
    for p in program:
        reads = program.incoming[p.name]
        if isinstance(p.neuron, LIF | Product) and len(reads) == 2:
            yield Coincidence(p.name, reads[0].name, reads[1].name)


def _accumulators(prover: Prover) -> Iterator[Fact]:
    for p in prover.program:
        if not isinstance(p.neuron, Product):
            continue
        ticks = [j for j in prover.program.incoming[p.name] if j.port == "a_in2"]
        before = {j.pre for j in prover.program.incoming[p.name] if j.lag == 1 and j.pre != p.name}
        if len(ticks) == len(before) == 1 and ticks[0].pre in prover.clocks:
            yield Accumulator(before.pop(), p.name, ticks[0].name)


def _totals(prover: Prover) -> Iterator[Fact]:
    """Of every population that reads early, all it reads of each that speaks once."""
    for p in prover.program:
        reads = prover.program.incoming[p.name]
        if not any(j.lag < 0 for j in reads):
            continue
        for ends in dict.fromkeys(prover.once.get(j.pre) for j in reads):
            names = tuple(j.name for j in reads if prover.once.get(j.pre) == ends)
            if ends is not None:
                yield SampleTotal(p.name, ends.origin, names)


def _cells(prover: Prover, accumulators: set[str]) -> Iterator[Fact]:
    """Populations that are joined by what silent ones bring a step later."""
    program = prover.program
    if not any(j.lag == 1 and j.pre not in accumulators for j in program.projections):
        return
    names = [p.name for p in program]
    place = {n: i for i, n in enumerate(names)}
    back = [
        (relayed_from(program, j.pre), j.post)
        for j in program.projections
        if j.lag == 1 and j.pre not in accumulators and j.pre in prover.silent
    ]
    ends = np.array([(place[a], place[b]) for a, b in back], np.int64).reshape(-1, 2).T
    edges = sparse.csr_matrix((np.ones(len(back)), tuple(ends)), shape=(len(names),) * 2)
    label = connected_components(edges, directed=False)[1]
    for number in dict.fromkeys(label[ends[0]].tolist()):
        members = [n for n, k in zip(names, label, strict=True) if k == number]
        own = next((n for n in members if n not in prover.silent), members[-1])
        silent = tuple(sorted(n for n in members if n in prover.silent))
        cell = Cell(own, _gather(program, set(members)), silent)
        if not prover.fault(cell):
            yield cell


def _gather(program: Program, members: set[str]) -> str:
    """The graded population that only the cell reads, at the same step."""
    found = [
        p.name
        for p in program
        if isinstance(p.neuron, Graded) and p.name not in members and program.outgoing[p.name]
        if all(j.post in members and not j.lag for j in program.outgoing[p.name])
    ]
    return found[0] if len(found) == 1 else ""
