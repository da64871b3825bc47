"""Populations that need no simulation: coincidences and products of two broadcast operands.

Attention makes one neuron per pair (query, key, channel), each an AND or a product of two values,
and only sums of them are read. Such a sum is a matrix product of the operands, and so is the
number of events of each neuron over the samples (`factored`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np

from ....toolchain.ground.arith import effective_weights, scale_exponent
from ....toolchain.ir.loops import in_loops
from ....toolchain.ir.program import LIF, Population, Product, Program, Projection, Structured

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


def find(program: Program, wholes: frozenset[str] = frozenset()) -> dict[str, Contraction]:
    """The contractions of a Program, by population. None reads another.

    wholes: populations that may read every pair: accumulators, which add them up over the steps.
    """
    loops, found = in_loops(program), dict[str, Contraction]()
    for p in program:
        if p.name not in loops and p.name != program.readout.population:
            contraction = _contraction(program, p, wholes)
            if contraction is not None:
                found[p.name] = contraction
    for name in list(found):
        if any(j.post in found for j in program.outgoing[name]):
            del found[name]
    return found


def _contraction(program: Program, p: Population, wholes: frozenset[str]) -> Contraction | None:
    incoming, outgoing = program.incoming[p.name], program.outgoing[p.name]
    if len(incoming) != 2 or not outgoing or not _plain(incoming, exponent=True):
        return None
    if not _plain(outgoing, exponent=False) or not all(
        _reduces(j) or j.post in wholes for j in outgoing
    ):
        return None
    both = isinstance(p.neuron, LIF)
    if not (_is_and(program, p) if both else _is_product(program, p)):
        return None
    if p.size <= max(program[j.pre].size for j in incoming):
        return None
    patterns = [j.connection.post for j in incoming if isinstance(j.connection, Structured)]
    patterns += [j.connection.pre for j in outgoing if isinstance(j.connection, Structured)]
    lengths = _common(patterns)
    if lengths is None:
        return None
    # Spikes first: they are silent more often than sums, and silence of the first is skipped.
    ordered = sorted(incoming, key=lambda j: program[j.pre].graded)
    a, b = (_operand(j, lengths) for j in ordered)
    if a is None or b is None or set(a.axes) | set(b.axes) != set(range(len(lengths))):
        return None
    return Contraction(p.name, lengths, both, a, b)


def _plain(projections: tuple[Projection, ...], exponent: bool) -> bool:
    return all(
        isinstance(j.connection, Structured)
        and j.lag == 0
        and j.pre_view is None
        and j.post_view is None
        and not (exponent and j.weight_exp)
        for j in projections
    )


def _reduces(j: Projection) -> bool:
    assert isinstance(j.connection, Structured)
    kept = {label for label, _ in j.connection.post}
    return any(label not in kept and n > 1 for label, n in j.connection.pre)


def _weight(j: Projection) -> int:
    assert isinstance(j.connection, Structured)
    return int(effective_weights(np.array([j.connection.weight], dtype=np.int64))[0])


def _is_and(program: Program, p: Population) -> bool:
    """Stateless, unit weights from spikes, threshold 1: fires iff both operands do.

    u never decays into a later step (du = 4095), and v is at most 1 << 6 without a spike, of which
    nothing is left (dv = 4095).
    """
    n = p.neuron
    assert isinstance(n, LIF)
    stateless = n.du == 4095 and n.dv == 4095 and n.vth == 1 and not n.reset
    operands = [program[j.pre] for j in program.incoming[p.name]]
    return (
        stateless
        and not scale_exponent(n.bias_mant, n.bias_exp).any()
        and all(not q.graded for q in operands)
        and all(_weight(j) == 1 for j in program.incoming[p.name])
    )


def _is_product(program: Program, p: Population) -> bool:
    """Ports of one projection each; all products within 31 bits and the declared range.

    So nothing wraps or is cut, and the range, which no simulation checks, can be trusted.
    """
    if not isinstance(p.neuron, Product) or p.neuron.exp or p.neuron.vth:
        return False
    incoming = program.incoming[p.name]
    if {j.port for j in incoming} != {"a_in1", "a_in2"}:
        return False
    ends = [_ends(j, program[j.pre]) for j in incoming]
    products = [a * b for a in ends[0] for b in ends[1]]
    inside = min(p.low, 0) <= min(products) and max(products) <= max(p.high, 0)
    return inside and any(products) and max(map(abs, products)) < 1 << 31


def _ends(j: Projection, p: Population) -> tuple[int, int]:
    """Least and greatest value that `j` brings of one neuron of p; 0 is among them."""
    low, high = (min(p.low, 0), max(p.high, 0)) if p.graded else (0, 1)
    return _weight(j) * low, _weight(j) * high


def _common(patterns: list[tuple[tuple[str, int], ...]]) -> tuple[int, ...] | None:
    """Lengths of the coarsest axes that refine all patterns of one C order; None if none do."""
    strides = {1}
    for pattern in patterns:
        lengths = [n for _, n in pattern]
        strides |= {prod(lengths[i:]) for i in range(len(lengths) + 1)}
    ordered = sorted(strides, reverse=True)
    if any(a % b for a, b in pairwise(ordered)):
        return None
    return tuple(a // b for a, b in pairwise(ordered))


def _split(axes: tuple[tuple[str, int], ...], lengths: tuple[int, ...]) -> Mapping[str, Axes]:
    """Label -> the common axes that it covers."""
    out, at = {}, 0
    for label, n in axes:
        begin, covered = at, 1
        while covered < n:
            covered *= lengths[at]
            at += 1
        out[label] = tuple(range(begin, at))
    return out


def _operand(j: Projection, lengths: tuple[int, ...]) -> Operand | None:
    """None if the projection sums: every label of pre must be one of post."""
    assert isinstance(j.connection, Structured)
    covers = _split(j.connection.post, lengths)
    if any(label not in covers for label, n in j.connection.pre if n > 1):
        return None
    axes = tuple(a for label, n in j.connection.pre if n > 1 for a in covers[label])
    return Operand(j.pre, _weight(j), axes)


def reading(j: Projection, lengths: tuple[int, ...]) -> Reading:
    """How `j`, from a contraction with these axes, reads it."""
    assert isinstance(j.connection, Structured)
    covers = _split(j.connection.pre, lengths)
    kept = tuple(a for label, _ in j.connection.post for a in covers.get(label, ()))
    new = tuple(i for i, (label, _) in enumerate(j.connection.post) if label not in covers)
    return Reading(kept, tuple(n for _, n in j.connection.post), new)
