"""Populations that need no simulation: coincidences and products of two broadcast operands.

Attention makes one neuron per pair (query, key, channel), each an AND or a product of two values,
and only sums of them are read. Such a sum is a matrix product of the operands, and so is the
number of events of each neuron over the samples (`factored`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ....toolchain.ground.arithmetic import Arithmetic
from ....toolchain.ir.check_facts import proved
from ....toolchain.ir.factors import refine, runs
from ....toolchain.ir.facts import Coincidence
from ....toolchain.ir.loops import in_loops
from ....toolchain.ir.program import LIF, Program, Projection, Structured

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Operand:
    """One of the two: which population, its weight, and the axes of the pairs that it has.

    axes  indices into `Contraction.lengths`, in the C order of the operand's neurons
    """

    name: str
    weight: int
    axes: Axes


@dataclass(frozen=True)
class Contraction:
    """A population whose neuron at (axes 0, 1, ...) pairs one value of `a` with one of `b`.

    lengths  of the axes into which the neurons, in C order, are split
    both     True: fires iff both do (AND); False: sends the product
    """

    name: str
    lengths: tuple[int, ...]
    both: bool
    a: Operand
    b: Operand


@dataclass(frozen=True)
class Reading:
    """How one projection reads a contraction: the axes it keeps, then how post repeats them.

    kept   axes in the order of post's labels;  shape, new  post's axes, those that repeat are new
    """

    kept: Axes
    shape: tuple[int, ...]
    new: Axes


def planned(program: Program, wholes: frozenset[str] = frozenset()) -> dict[str, Contraction]:
    """The coincidences that are contracted, by population. None reads another.

    wholes: populations that may read every pair: accumulators, which add them up over the steps.
    """
    loops, found = in_loops(program), dict[str, Contraction]()
    for fact in proved(program, Coincidence):
        if fact.population not in loops and fact.population != program.readout.population:
            contraction = _contraction(program, fact, wholes)
            if contraction is not None:
                found[fact.population] = contraction
    for name in list(found):
        if any(j.post in found for j in program.outgoing[name]):
            del found[name]
    return found


def _contraction(program: Program, fact: Coincidence, wholes: frozenset[str]) -> Contraction | None:
    """None where it would save nothing, or its readers read single pairs."""
    p = program[fact.population]
    incoming, outgoing = program.incoming[p.name], program.outgoing[p.name]
    if not outgoing or p.size <= max(program[j.pre].size for j in incoming):
        return None
    if not all(_along_axes(j) and (_reduces(j) or j.post in wholes) for j in outgoing):
        return None
    patterns = [j.connection.post for j in incoming if isinstance(j.connection, Structured)]
    patterns += [j.connection.pre for j in outgoing if isinstance(j.connection, Structured)]
    lengths = refine(*([n for _, n in pattern] for pattern in patterns))
    if lengths is None:
        return None
    # Spikes first: they are silent more often than sums, and silence of the first is skipped.
    ordered = sorted(incoming, key=lambda j: program[j.pre].graded)
    a, b = (_operand(j, lengths, program.arithmetic) for j in ordered)
    if a is None or b is None or set(a.axes) | set(b.axes) != set(range(len(lengths))):
        return None
    return Contraction(p.name, lengths, isinstance(p.neuron, LIF), a, b)


def _along_axes(j: Projection) -> bool:
    return (
        isinstance(j.connection, Structured)
        and j.lag == 0
        and j.pre_view is None
        and j.post_view is None
    )


def _reduces(j: Projection) -> bool:
    assert isinstance(j.connection, Structured)
    kept = {label for label, _ in j.connection.post}
    return any(label not in kept and n > 1 for label, n in j.connection.pre)


def _weight(j: Projection, widths: Arithmetic) -> int:
    assert isinstance(j.connection, Structured)
    return int(widths.effective_weights(np.array([j.connection.weight], dtype=np.int64))[0])


def _covers(axes: tuple[tuple[str, int], ...], lengths: tuple[int, ...]) -> Mapping[str, Axes]:
    """Label -> the common axes that it covers."""
    covered = runs(lengths, [n for _, n in axes])
    return {label: run for (label, _), run in zip(axes, covered, strict=True)}


def _operand(j: Projection, lengths: tuple[int, ...], widths: Arithmetic) -> Operand | None:
    """None if the projection sums: every label of pre must be one of post."""
    assert isinstance(j.connection, Structured)
    covers = _covers(j.connection.post, lengths)
    if any(label not in covers for label, n in j.connection.pre if n > 1):
        return None
    axes = tuple(a for label, n in j.connection.pre if n > 1 for a in covers[label])
    return Operand(j.pre, _weight(j, widths), axes)


def reading(j: Projection, lengths: tuple[int, ...]) -> Reading:
    """How `j`, from a contraction with these axes, reads it."""
    assert isinstance(j.connection, Structured)
    covers = _covers(j.connection.pre, lengths)
    kept = tuple(a for label, _ in j.connection.post for a in covers.get(label, ()))
    new = tuple(i for i, (label, _) in enumerate(j.connection.post) if label not in covers)
    return Reading(kept, tuple(n for _, n in j.connection.post), new)
