"""Wires of a Program: projections that are one layer, split only because exponents differ.

The quantizer may give each group of output channels a projection of its own, with zeros for the
others' rows, so that small weights get a smaller exponent. Here they are one weight again, with an
exponent per channel: one matrix product instead of several, and the same integers, because no
neuron receives from two of them. Where 8 bits are too coarse a weight is the sum of two terms, high
and low bits: here one whole number with the bits of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ..ground.arith import IntArray
from ..ir.carried import Origins
from ..ir.program import Connection, Conv2d, Dense, Population, Program, Projection


@dataclass(frozen=True, eq=False)
class Wire:
    """parts: the projections;  whole: the first one, with the weights of all.

    part       [O] index of the part that carries each output channel (all 0 without weights)
    exponents  one, or one per post neuron [post size]
    low_bits   of two terms: bits of the second one's; 0: the parts have rows of their own
    """

    parts: tuple[Projection, ...]
    whole: Projection
    part: IntArray
    exponents: IntArray
    low_bits: int = 0

    @property
    def name(self) -> str:
        """Of the first part."""
        return self.whole.name

    @property
    def row_exponents(self) -> IntArray:
        """The exponent of each output channel [O]."""
        exponents = np.array([j.weight_exp for j in self.parts])
        return exponents[self.part]

    def split(self, weight: IntArray) -> tuple[Projection, ...]:
        """The parts with other weights [O, ...]."""
        out = []
        if self.low_bits:
            low = weight & ((1 << self.low_bits) - 1)
            both = (2 * (weight >> self.low_bits), low)
            return tuple(_with(j, w) for j, w in zip(self.parts, both, strict=True))
        for i, j in enumerate(self.parts):
            out.append(_with(j, weight * _column(self.part == i, weight)))
        return tuple(out)


def wires_of(program: Program, origins: Origins) -> dict[str, tuple[Wire, ...]]:
    """Population name -> its incoming wires, in program order, but for the model's biases."""
    biases = {name for c in origins.constants for name in c.projections}
    together = {name: c.projections for c in origins.weights for name in c.projections}
    return {p.name: _into(program, p, biases, together) for p in program}


def channels(j: Projection, post: Population) -> IntArray:
    """The output channel of `j`'s weights that each post neuron belongs to [post size]."""
    c = j.connection
    assert isinstance(c, Conv2d | Dense)
    places = 1 if isinstance(c, Dense) else c.out_shape[1] * c.out_shape[2]
    channel: IntArray = np.repeat(np.arange(len(c.weight)), places)
    return channel if j.post_view is None else j.post_view.apply(channel)


def _into(
    program: Program, post: Population, biases: set[str], together: Mapping[str, tuple[str, ...]]
) -> tuple[Wire, ...]:
    found: list[list[Projection]] = []
    for j in program.incoming[post.name]:
        if j.name in biases:
            continue
        group = next((g for g in found if _are_terms(g, j, together) or _joins(g, j)), None)
        if group is None:
            found.append([j])
        else:
            group.append(j)
    return tuple(_wire(g, post) for g in found)


def _are_terms(
    group: list[Projection], j: Projection, together: Mapping[str, tuple[str, ...]]
) -> bool:
    """True if `j` holds the low bits of the weights whose high bits are in `group`."""
    names = together.get(j.name, ())
    if len(group) > 1 or group[0].name not in names or len(names) != 2:
        return False
    (high,) = group
    w, v = _weight(high), _weight(j)
    bits = high.weight_exp - j.weight_exp + 1
    overlap = bool(np.any(_used(high) & _used(j)))
    return overlap and bits > 0 and not np.any(w % 2) and 0 <= v.min() <= v.max() < 1 << bits


def _joins(group: list[Projection], j: Projection) -> bool:
    """True if `j` has the same ends and geometry, and rows that none of `group` uses."""
    first = group[0]
    if _bare(first) != _bare(j) or _geometry(first.connection) != _geometry(j.connection):
        return False
    return not any(np.any(_used(i) & _used(j)) for i in group)


def _bare(j: Projection) -> tuple[object, ...]:
    return (j.pre, j.port, j.lag, j.pre_view, j.post_view)


def _geometry(c: Connection) -> tuple[object, ...] | None:
    if isinstance(c, Dense):
        return (c.weight.shape,)
    if isinstance(c, Conv2d):
        sizes = (c.in_shape, c.out_shape, c.stride, c.padding, c.dilation, c.groups)
        return (c.weight.shape, *sizes)
    return (id(c),)  # never equal: other kinds are not split


def _used(j: Projection) -> IntArray:
    """[O] rows with a weight."""
    assert isinstance(j.connection, Dense | Conv2d)
    rows: IntArray = np.any(j.connection.weight.reshape(len(j.connection.weight), -1), axis=1)
    return rows


def _terms(group: list[Projection]) -> Wire:
    high, low = group
    bits = high.weight_exp - low.weight_exp + 1
    weight = (_weight(high) >> 1 << bits) + _weight(low)
    whole = replace(_with(high, weight), weight_exp=low.weight_exp)
    part = np.ones(len(weight), np.int64)
    return Wire(tuple(group), whole, part, np.array(low.weight_exp), bits)


def _wire(group: list[Projection], post: Population) -> Wire:
    first = group[0]
    c = first.connection
    if len(group) == 2 and np.any(_used(first) & _used(group[1])):
        return _terms(group)
    if not isinstance(c, Dense | Conv2d):
        return Wire((first,), first, np.zeros(1, np.int64), np.array(first.weight_exp))
    part = np.zeros(len(c.weight), np.int64)
    for i, j in enumerate(group):
        part[_used(j)] = i
    weight = np.sum([_weight(j) for j in group], axis=0)
    whole = replace(first, connection=replace(c, weight=weight))
    exponents = np.array([j.weight_exp for j in group])
    each = exponents[part][channels(first, post)] if len(group) > 1 else exponents[0]
    return Wire(tuple(group), whole, part, np.asarray(each))


def _weight(j: Projection) -> IntArray:
    assert isinstance(j.connection, Dense | Conv2d)
    return j.connection.weight


def _with(j: Projection, weight: IntArray) -> Projection:
    assert isinstance(j.connection, Dense | Conv2d)
    return replace(j, connection=replace(j.connection, weight=weight))


def _column(rows: IntArray, weight: IntArray) -> IntArray:
    return rows.reshape(-1, *[1] * (weight.ndim - 1))
