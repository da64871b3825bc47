"""What a layerwise verification replays, piece by piece, and which pieces share a run.

A piece is a population, or some of its neurons where there are too many synapses for one Lava
process or only a sample is wanted. Its sub-net is the population, its incoming projections with
their delays, and for each pre population an input that plays what was recorded of it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from ..ground.arith import IntArray, sign_mode
from ..ir.program import (
    Clock,
    Connection,
    Conv2d,
    Dense,
    Input,
    Population,
    Program,
    Projection,
    Readout,
    Sparse,
)
from .rows import rows

PIECE_SYNAPSES = 1_000_000
"""Synapses of one piece: 16 bytes each, in four copies (Program, process, model, clipping)."""
RUN_SYNAPSES = 4_000_000
RUN_PROCESSES = 80
"""Lava processes of one run, one OS process each: start time grows faster than their number."""
KERNEL_SYNAPSES = 1000
"""From so many synapses per kernel on, Lava's Conv is used, which stores only the kernels."""
SPARE = 2
"""Neurons added to a part of a population that has a connection with weights of both signs.

Lava drops the lowest bit of weights where a connection has both signs, so a part of a connection
with both must have both. One spare neuron has weight +2, the other -2; they are compared with
nothing.
"""
PLAYED = "@"
"""Prefix of the inputs that play a record."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Some neurons of a population (flat indices), or all of them (None).

    load  synapses that Lava stores;  processes  OS processes, inputs counted
    """

    population: str
    number: int
    neurons: IntArray | None
    load: int
    processes: int

    @property
    def label(self) -> str:
        """Unique name."""
        return self.population if self.neurons is None else f"{self.population}#{self.number}"


@dataclass(frozen=True, eq=False)
class Net:
    """A Program of independent sub-nets.

    played  input -> (population that it plays, its neurons or None for all)
    """

    program: Program
    pieces: tuple[Piece, ...]
    played: dict[str, tuple[str, IntArray | None]]


def plan(program: Program, fraction: float = 1.0) -> list[Piece]:
    """The pieces that cover the share `fraction` of every population, in program order."""
    return [piece for p in program for piece in _pieces(program, p, fraction)]


def runs(pieces: Iterable[Piece]) -> Iterator[tuple[Piece, ...]]:
    """Pieces that go into one run together."""
    group: list[Piece] = []
    for piece in pieces:
        trial = [*group, piece]
        full = sum(t.processes for t in trial) > RUN_PROCESSES
        if group and (full or sum(t.load for t in trial) > RUN_SYNAPSES):
            yield tuple(group)
            trial = [piece]
        group = trial
    if group:
        yield tuple(group)


def net(program: Program, pieces: tuple[Piece, ...]) -> Net:
    """The Program of one run. Inputs that play all of a population are shared."""
    pops: dict[str, Population] = {}
    joints: list[Projection] = []
    played: dict[str, tuple[str, IntArray | None]] = {}
    for piece in pieces:
        build = _whole if piece.neurons is None else _part
        inputs, cell, incoming = build(program, piece)
        pops |= {q.name: q for q, _, _ in inputs} | {cell.name: cell}
        played |= {q.name: (name, at) for q, name, at in inputs}
        joints += incoming
    # Inputs first; a driven population is its own input and plays the host's events.
    ordered = sorted(pops.values(), key=lambda q: not q.neuron.driven)
    readout = Readout(ordered[-1].name, 1.0, ())
    return Net(
        Program(
            tuple(ordered),
            tuple(joints),
            program.timesteps,
            readout,
            arithmetic=program.arithmetic,
        ),
        pieces,
        played,
    )


# --- planning -------------------------------------------------------------------------------


def _pieces(program: Program, p: Population, fraction: float) -> Iterator[Piece]:
    incoming = program.incoming[p.name]
    processes = 1 + len(incoming) + len({j.pre for j in incoming})
    stored = sum(_stored(j) for j in incoming)
    if p.neuron.driven or (fraction >= 1 and stored <= PIECE_SYNAPSES):
        yield Piece(p.name, 0, None, stored, processes)
        return
    chosen = sample(p, fraction)
    each = max(1, sum(j.connection.synapses for j in incoming) // p.size)
    count = -(-len(chosen) * each // PIECE_SYNAPSES)
    for number, neurons in enumerate(np.array_split(chosen, max(1, count))):
        yield Piece(p.name, number, neurons, each * len(neurons), processes)


def sample(p: Population, fraction: float) -> IntArray:
    """Flat indices of the neurons that are replayed: the same ones each time, at least one.

    Drawn at random with the population's name as seed: a regular pattern could fall on one
    channel or one token only.
    """
    if fraction >= 1:
        return np.arange(p.size, dtype=np.int64)
    count = max(1, round(fraction * p.size))
    rng = np.random.default_rng(zlib.crc32(p.name.encode()))
    return np.sort(rng.choice(p.size, count, replace=False)).astype(np.int64)


def _stored(j: Projection) -> int:
    """Synapses in the process that the whole projection becomes."""
    c = j.connection
    if isinstance(c, Conv2d) and j.pre_view is None and j.post_view is None:
        per_kernel = math.prod((*c.weight.shape[2:], *c.out_shape[1:]))
        if j.delay == 1 and j.weight_exp >= 0 and per_kernel >= KERNEL_SYNAPSES:
            return int(c.weight.size)
    return c.synapses


# --- sub-nets -------------------------------------------------------------------------------

Parts = tuple[list[tuple[Population, str, IntArray | None]], Population, list[Projection]]
"""Inputs with what they play, the replayed population, its incoming projections."""


def _input(
    p: Population, name: str, at: IntArray | None
) -> tuple[Population, str, IntArray | None]:
    """A clock stays one: the host makes its ticks, nothing is recorded."""
    neuron = p.neuron if isinstance(p.neuron, Clock) else Input()
    shape = p.shape if at is None else (len(at),)
    return replace(p, name=name, shape=shape, neuron=neuron), p.name, at


def _whole(program: Program, piece: Piece) -> Parts:
    incoming = program.incoming[piece.population]
    pres = {j.pre: program[j.pre] for j in incoming}
    inputs = [_input(q, PLAYED + q.name, None) for q in pres.values()]
    return (
        inputs,
        program[piece.population],
        [replace(j, pre=PLAYED + j.pre) for j in incoming],
    )


def _part(program: Program, piece: Piece) -> Parts:
    """Only the piece's neurons, their synapses, and the pre neurons that these come from."""
    p, neurons = program[piece.population], piece.neurons
    assert neurons is not None
    incoming = program.incoming[p.name]
    found = [(j, rows(j, neurons, program[j.pre].size, p.size)) for j in incoming]
    spare = SPARE if any(_mixed(j.connection) for j in incoming) else 0
    inputs, columns, joints = [], {}, []
    for name in dict.fromkeys(j.pre for j in incoming):
        used = [m.indices.astype(np.int64) for j, m in found if j.pre == name]
        columns[name] = np.unique(np.concatenate([np.zeros(1, np.int64), *used]))
        inputs.append(_input(program[name], f"{PLAYED}{name}->{piece.label}", columns[name]))
    for j, m in found:
        joints.append(
            replace(
                j,
                name=f"{j.name}->{piece.label}",
                pre=f"{PLAYED}{j.pre}->{piece.label}",
                post=piece.label,
                connection=_connection(j, m[:, columns[j.pre]], spare),
                pre_view=None,
                post_view=None,
            )
        )
    return inputs, _cell(p, piece, neurons, spare), joints


def _mixed(c: Connection) -> bool:
    return sign_mode(c.weights) == "mixed"


def _connection(j: Projection, m: sparse.csr_matrix, spare: int) -> Connection:
    """The rows `m`, and below them those of the spare neurons, as the kind that `j` has in Lava."""
    if spare:
        sign = [2, -2] if _mixed(j.connection) else [0, 0]
        below = sparse.csr_matrix((sign, ([0, 1], [0, 0])), shape=(spare, m.shape[1]))
        m = sparse.vstack([m, below], format="csr", dtype=np.int64)
        m.eliminate_zeros()
    if isinstance(j.connection, Dense) and j.pre_view is None and j.post_view is None:
        return Dense(m.toarray())
    return Sparse(m.indptr.astype(np.int64), m.indices.astype(np.int64), m.data)


def _cell(p: Population, piece: Piece, neurons: IntArray, spare: int) -> Population:
    neuron = p.neuron.some(p.shape, neurons, spare)
    return replace(p, name=piece.label, shape=(len(neurons) + spare,), neuron=neuron)
