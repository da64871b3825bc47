"""How two populations are wired, axis by axis: what mapping needs to know of a projection.

A projection links axes of pre with axes of post: a convolution links rows with the rows of its
window, an attention pattern links equal tokens, a dense layer links nothing (all to all). So the
traffic between two tiles is a product over axes, and no neuron is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...ir.factors import Positions, refine, runs
from ...ir.program import Population, Program, Projection, Shape, View


@dataclass(frozen=True, eq=False)
class Link:
    """pre axes and post axes (each read as one number in C order) that must meet.

    relation  bool [pre length, post length]; None: the two numbers are equal
    """

    pre: Positions
    post: Positions
    relation: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Pattern:
    """A projection on the flat C order of both populations; axes that no link names are free.

    channels  positions of the post axes that make up a convolution's out channels
    """

    pre: Shape
    post: Shape
    links: tuple[Link, ...] = ()
    channels: Positions = ()


def pattern(j: Projection, pre_size: int, post_size: int) -> Pattern | None:
    """The projection axis by axis; None where it is irregular (Sparse, or views that cut axes)."""
    wiring = j.connection.wiring()
    if wiring is None or (wiring.whole and (j.pre_view or j.post_view)):
        return None
    pre = _seen(wiring.pre, j.pre_view, entering=True)
    post = _seen(wiring.post, j.post_view, entering=False)
    if pre is None or post is None:
        return None
    links = tuple(Link(pre[1][k.pre], post[1][k.post], k.relation) for k in wiring.links)
    channels = () if wiring.channels is None else post[1][wiring.channels]
    return Pattern(pre[0], post[0], links, channels)


def _seen(
    shape: Shape, view: View | None, *, entering: bool
) -> tuple[Shape, tuple[Positions, ...]] | None:
    """A connection's axes on the population's flat order, through a view.

    Returns the population's axes and, for each axis of `shape`, the positions that make it up.
    """
    if view is None:
        return shape, tuple((i,) for i in range(len(shape)))
    # pre_view: connection order = transposed; post_view: population order = transposed
    side = tuple(view.split[o] for o in view.order) if entering else view.split
    atoms = refine(shape, side)
    if atoms is None:
        return None
    taken = runs(atoms, side)
    order = np.argsort(view.order).tolist() if entering else view.order
    moved = [atom for o in order for atom in taken[o]]
    place = {atom: i for i, atom in enumerate(moved)}
    mine = runs(atoms, shape)
    return (
        tuple(atoms[a] for a in moved),
        tuple(tuple(place[a] for a in run) for run in mine),
    )


def tile_axes(program: Program, population: Population) -> Shape:
    """The axes along which a population is cut: those of its convolution, else of its patterns."""
    incoming = program.incoming[population.name]
    patterns = [pattern(j, program[j.pre].size, population.size) for j in incoming]
    known = [p for p in patterns if p is not None]
    weighted = [p.post for p in known if p.channels]
    if weighted:
        return tidy(weighted[0])
    if len(known) < len(patterns) or not known:
        return (population.size,)
    axes: Shape = (population.size,)
    for p in known:
        axes = refine(axes, p.post) or axes
    return tidy(axes)


def tidy(axes: Shape) -> Shape:
    """Without axes of one place."""
    return tuple(n for n in axes if n > 1) or (1,)
