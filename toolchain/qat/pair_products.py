"""Attention contracted: coincidences and products that are only summed become matrix products.

A population of the neurons k[n,i] AND v[n,j], summed over n, is the matrix product of k and v; so
is a Product of q and a count. The Program keeps one neuron per pair; here nobody needs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

import numpy as np
import torch
from torch import Tensor

from ..ir.program import LIF, Population, Product, Program, Projection, Structured
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
    for p in program:
        made = _of_population(program, p) if p.name not in loops else None
        found |= made or {}
    return found


def _of_population(program: Program, p: Population) -> dict[str, Contraction] | None:
    incoming, outgoing = program.incoming[p.name], program.outgoing[p.name]
    if len(incoming) != 2 or not outgoing or p.name == program.readout.population:
        return None
    if not all(_plain(j) for j in (*incoming, *outgoing)) or not _multiplies(program, p):
        return None
    left, right = sorted(incoming, key=lambda j: j.port)
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


def _multiplies(program: Program, p: Population) -> bool:
    """True if what `p` sends is the product of its two operands."""
    incoming = program.incoming[p.name]
    if any(j.weight_exp for j in incoming):
        return False
    match p.neuron:
        case Product(exp=0, vth=0):
            return {j.port for j in incoming} == {"a_in1", "a_in2"}
        case LIF(vth=1, reset=False) as n:
            return not n.bias_mant.any() and all(
                not program[j.pre].graded and _once(j.connection) for j in incoming
            )
    return False


def _once(c: object) -> bool:
    """Weight 1, and no neuron receives a sum of several."""
    return (
        isinstance(c, Structured) and c.weight == 1 and {k for k, _ in c.pre} <= dict(c.post).keys()
    )


def _contraction(
    program: Program, p: Population, left: Projection, right: Projection, out: Projection
) -> Contraction | None:
    cl, cr, co = left.connection, right.connection, out.connection
    assert isinstance(cl, Structured)
    assert isinstance(cr, Structured)
    assert isinstance(co, Structured)
    strides = sorted({1, *(s for c in (cl.post, cr.post, co.pre) for s, _ in _strides(c)), p.size})
    if any(b % a for a, b in pairwise(strides)):
        return None
    atoms = {f"p{s}": b // s for s, b in pairwise(strides)}
    a = _side(cl.pre, _cut(cl.post, strides), "a")
    b = _side(cr.pre, _cut(cr.post, strides), "b")
    z = _side(co.post, _cut(co.pre, strides), "z")
    inside, kept = {k for k, _ in (*a, *b)}, {k for k, _ in z}
    repeats = prod(n for k, n in atoms.items() if k not in inside and k not in kept)
    factor = cl.weight * cr.weight * co.weight * repeats
    terms = prod(n for k, n in {**dict(a), **dict(b)}.items() if k not in kept)
    most = [max(-program[j.pre].low, program[j.pre].high, 1) for j in (left, right)]
    return Contraction(
        left, right, out, a, b, z, factor, float(abs(factor) * terms * most[0] * most[1])
    )


def _strides(axes: Axes) -> list[tuple[int, int]]:
    """(stride, length) of each axis in C order."""
    out, stride = [], 1
    for _, n in reversed(axes):
        out.append((stride, n))
        stride *= n
    return out[::-1]


def _cut(axes: Axes, strides: list[int]) -> dict[str, Axes]:
    """Label -> its atoms, outermost first."""
    cut = {}
    for (label, _), (stride, n) in zip(axes, _strides(axes), strict=True):
        ends = [s for s in strides if stride <= s <= stride * n]
        cut[label] = tuple((f"p{s}", b // s) for s, b in pairwise(ends))[::-1]
    return cut


def _side(axes: Axes, cut: dict[str, Axes], own: str) -> Axes:
    """The axes of one value in atoms; an axis that the product lacks keeps a name of its own."""
    out: list[tuple[str, int]] = []
    for label, n in axes:
        out += cut.get(label, ((f"{own}.{label}", n),))
    return tuple(out)
