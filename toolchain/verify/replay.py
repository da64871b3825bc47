"""A replay file: one neuron and the record of all that reached it, to see a difference again.

A sealed zip (see `bundle`) with replay.json and arrays/*.npy: the sub-net of the neuron, once with
the reference's numbers and, where the witness was handed another Program, once with those; what
its pre neurons sent at each hardware step; and the mismatch. Reading one runs nothing.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...backends import check_input
from ...backends.base import Stream
from ..formats.bundle.bundle import pack, unpack
from ..ground.arith import IntArray
from ..ground.errors import InputError, SfxError
from ..ground.files import atomic_write
from ..ground.npy import read_npy
from ..ir.check_program import (
    exponents,
    integer_types,
    known_ends,
    neuron_widths,
    sizes,
    unique_names,
)
from ..ir.codec import CodecError, decode, encode
from ..ir.digest import digest
from ..ir.program import Input, Program
from .compare import Mismatch
from .layerwise import Replayer, host_events, recorded
from .pieces import PLAYED, Piece, net

SCHEMA_VERSION = 2


@dataclass(frozen=True, eq=False)
class Side:
    """The neuron's sub-net and what its inputs play [steps, *shape]."""

    program: Program
    played: Mapping[str, IntArray]


@dataclass(frozen=True, eq=False)
class Replay:
    """`expected` runs on the reference, `got` on the witness; `label` is the neuron's population
    in both, of which it is neuron 0. `program` is the digest of the whole Program.
    """

    against: str
    mismatch: Mismatch
    label: str
    expected: Side
    got: Side
    program: str

    @property
    def steps(self) -> int:
        """Hardware steps up to the mismatch and with it."""
        return self.mismatch.step + 1


def replay_of(
    program: Program,
    witness: Program,
    x: IntArray,
    spikes: Stream,
    mismatch: Mismatch,
    against: str,
) -> Replay | None:
    """The replay of a mismatch; None for what the host drives (an input, a clock).

    x, spikes  the samples [K, T, *input shape] and the reference's record of the whole net
    """
    if program[mismatch.population].neuron.driven:
        return None
    piece = Piece(mismatch.population, 0, np.array([mismatch.neuron], dtype=np.int64), 0, 0)
    steps = mismatch.step + 1
    events = host_events(program, x, spikes.steps)
    sides = [_side(p, piece, spikes, events, steps) for p in (program, witness)]
    return Replay(against, mismatch, piece.label, sides[0], sides[1], digest(program))


def _side(program: Program, piece: Piece, spikes: Stream, events: IntArray, steps: int) -> Side:
    group = net(program, (piece,))
    played = {
        name: recorded(spikes, of, at)[:steps]
        for name, (of, at) in group.played.items()
        if isinstance(group.program[name].neuron, Input)
    }
    return Side(
        group.program,
        played
        | {
            q.name: events[:steps]
            for q in group.program
            if isinstance(q.neuron, Input) and not q.name.startswith(PLAYED)
        },
    )


@dataclass(frozen=True)
class Row:
    """One hardware step of the neuron: (reference, witness) of each quantity."""

    step: int
    spikes: tuple[int, int]
    u: tuple[int, int] | None
    v: tuple[int, int] | None

    @property
    def equal(self) -> bool:
        """True if nothing differs."""
        return all(q is None or q[0] == q[1] for q in (self.spikes, self.u, self.v))


def rerun(replay: Replay, reference: Replayer, witness: Replayer) -> list[Row]:
    """Every step of the neuron on both sides, up to the step that differed."""
    a = reference.replay(replay.expected.program, replay.expected.played, replay.steps, states=True)
    b = witness.replay(replay.got.program, replay.got.played, replay.steps, states=True)

    def both(quantity: str, step: int) -> tuple[int, int] | None:
        x, y = getattr(a, quantity), getattr(b, quantity)
        if replay.label not in x:
            return None
        return int(x[replay.label][step].flat[0]), int(y[replay.label][step].flat[0])

    rows = []
    for h in range(replay.steps):
        sent = both("spikes", h)
        assert sent is not None
        rows.append(Row(h, sent, both("u", h), both("v", h)))
    return rows


# --- the file ---------------------------------------------------------------------------------


def write(replay: Replay, path: Path) -> None:
    """Write the file atomically. Raises InputError (SFX-E603)."""
    arrays: list[NDArray[Any]] = []
    head = {
        "schema_version": SCHEMA_VERSION,
        "against": replay.against,
        "program": replay.program,
        "label": replay.label,
        "mismatch": asdict(replay.mismatch),
        "sides": [
            {
                "program": encode(side.program, arrays),
                "played": {name: encode(a, arrays) for name, a in sorted(side.played.items())},
            }
            for side in (replay.expected, replay.got)
        ],
    }
    entries = {"replay.json": json.dumps(head, sort_keys=True).encode()}
    for i, array in enumerate(arrays):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        entries[f"arrays/{i:05d}.npy"] = buffer.getvalue()
    atomic_write(path, pack(entries))


def read(path: Path) -> Replay:
    """Read a replay file. Raises InputError (SFX-E600, E601, SFX-E708)."""
    entries = unpack(path)
    try:
        head = json.loads(entries["replay.json"])
        if head["schema_version"] != SCHEMA_VERSION:
            raise CodecError(
                f"schema {head['schema_version']!r}, this version of sfx reads {SCHEMA_VERSION}"
            )
        names = sorted(n for n in entries if n.startswith("arrays/"))
        arrays = [read_npy(io.BytesIO(entries[n]), len(entries[n])) for n in names]
        if any(a.dtype.kind not in "iu" for a in arrays):
            raise CodecError("an array does not hold integers")
        mismatch = Mismatch(**head["mismatch"])
        expected, got = (_decoded(side, arrays) for side in head["sides"])
        against, label, program = (str(head[k]) for k in ("against", "label", "program"))
        replay = Replay(against, mismatch, label, expected, got, program)
        for side in (expected, got):
            _check(side, replay)
        return replay
    except (LookupError, ValueError, TypeError, EOFError, RecursionError, AttributeError) as error:
        raise InputError(
            "SFX-E708",
            f"is not a replay file: {str(error) or type(error).__name__}",
            where=str(path),
            hint="one is written by 'sfx verify' where something differs",
        ) from error


def _check(side: Side, replay: Replay) -> None:
    """A file from elsewhere may be well-formed and still hold no legal net. Raises SfxError."""
    rules = (unique_names, known_ends, integer_types, sizes, exponents, neuron_widths)
    problems = [problem for rule in rules for problem in rule(side.program)]
    if problems:
        raise SfxError.of(problems)
    if side.program[replay.label].neuron.ports == () or side.program.timesteps < 1:
        raise CodecError("no neuron is replayed")
    check_input.balanced(side.program)
    check_input.played(side.program, side.played, replay.steps)


def _decoded(side: Any, arrays: list[NDArray[Any]]) -> Side:
    program = decode(side["program"], arrays, Program)
    played = {str(name): arrays[a["array"]].astype(np.int64) for name, a in side["played"].items()}
    return Side(program, played)
