"""Attention contracted: coincidences and products that are only summed become matrix products.

A population of the neurons k[n,i] AND v[n,j], summed over n, is the matrix product of k and v; so
is a Product of q and a count. The Program keeps one neuron per pair; here nobody needs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from torch import Tensor

from ..ir.check_facts import proved
from ..ir.factors import refine, runs
from ..ir.facts import Coincidence
from ..ir.program import Population, Program, Projection, Structured
from .straight import exact_type, shift

Axes = tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Contraction:
    """sum of a * b over the atoms that `out` lacks.

    left, right  the two operands' projections;  summed  the projection of their product
    a, b, out    per value: its lengths, and its atoms (axes of the product population, cut to a
                 common refinement) in order
    factor       weights of all three, and what a sum over an atom of neither operand repeats
    """

    left: Projection
    right: Projection
    summed: Projection
    a: Axes
    b: Axes
    out: Axes
    factor: int
    bound: float

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """a [N, left size], b [N, right size] -> [N, post size], exponent applied."""
        number = {
            atom: i for i, (atom, _) in enumerate(dict.fromkeys((*self.a, *self.b, *self.out)))
        }
        n = len(number)
        kind = exact_type(self.bound)
        x = a.to(kind).reshape(len(a), *(k for _, k in self.a))
        y = b.to(kind).reshape(len(b), *(k for _, k in self.b))
        inside = {atom for atom, _ in (*self.a, *self.b)}
        kept = [number[atom] for atom, _ in self.out if atom in inside]
        z = torch.einsum(
            x,
            [n, *(number[i] for i, _ in self.a)],
            y,
            [n, *(number[i] for i, _ in self.b)],
            [n, *kept],
        )
        z = z.reshape(len(a), *(k if atom in inside else 1 for atom, k in self.out))
        z = z.expand(len(a), *(k for _, k in self.out)).reshape(len(a), -1)
        return shift(z * self.factor, np.array(self.summed.weight_exp)).float()


def contractions(program: Program, loops: frozenset[str]) -> dict[str, Contraction]:
    """Name of each projection that leaves a contracted population -> its contraction."""
    found: dict[str, Contraction] = {}
    for fact in proved(program, Coincidence):
        if fact.population not in (*loops, program.readout.population):
            found |= _of_population(program, program[fact.population]) or {}
    return found


def _of_population(program: Program, p: Population) -> dict[str, Contraction] | None:
    outgoing = program.outgoing[p.name]
    if not all(_plain(j) for j in outgoing):
        return None
    left, right = sorted(program.incoming[p.name], key=lambda j: j.port)
    made = {j.name: _contraction(program, p, left, right, j) for j in outgoing}
    whole = {name: c for name, c in made.items() if c is not None}
    return whole if len(whole) == len(made) else None


def _plain(j: Projection) -> bool:
    return (
        isinstance(j.connection, Structured)
        and j.lag == 0
        and j.pre_view is None
        and j.post_view is None
    )


def _contraction(
    program: Program, p: Population, left: Projection, right: Projection, out: Projection
) -> Contraction | None:
    cl, cr, co = left.connection, right.connection, out.connection
    assert isinstance(cl, Structured)
    assert isinstance(cr, Structured)
    assert isinstance(co, Structured)
    shapes = [[n for _, n in axes] for axes in (cl.post, cr.post, co.pre)]
    lengths = refine(*shapes)
    if lengths is None:
        return None
    atoms = tuple((f"p{i}", n) for i, n in enumerate(lengths))
    a = _side(cl.pre, _cut(cl.post, atoms), "a")
    b = _side(cr.pre, _cut(cr.post, atoms), "b")
    z = _side(co.post, _cut(co.pre, atoms), "z")
    inside, kept = {k for k, _ in (*a, *b)}, {k for k, _ in z}
    repeats = prod(n for k, n in atoms if k not in inside and k not in kept)
    factor = cl.weight * cr.weight * co.weight * repeats
    terms = prod(n for k, n in {**dict(a), **dict(b)}.items() if k not in kept)
    most = [max(-program[j.pre].low, program[j.pre].high, 1) for j in (left, right)]
    return Contraction(
        left, right, out, a, b, z, factor, float(abs(factor) * terms * most[0] * most[1])
    )


def _cut(axes: Axes, atoms: Axes) -> dict[str, Axes]:
    """Label -> its atoms, outermost first."""
    covered = runs([n for _, n in atoms], [n for _, n in axes])
    return {
        label: tuple(atoms[i] for i in run) for (label, _), run in zip(axes, covered, strict=True)
    }


def _side(axes: Axes, cut: dict[str, Axes], own: str) -> Axes:
    """The axes of one value in atoms; an axis that the product lacks keeps a name of its own."""
    out: list[tuple[str, int]] = []
    for label, n in axes:
        out += cut.get(label, ((f"{own}.{label}", n),))
    return tuple(out)
