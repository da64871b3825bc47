"""Replay what each population received, population by population, through the witness alone.

Why equal layers imply an equal net is written down in docs/verification.md.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from ...backends.base import Backend, Progress, Stream
from ..ground.arith import IntArray
from ..ground.errors import BackendError, InputError
from ..ir.digest import digest
from ..ir.program import Input, Program
from .compare import Part, Verdict, compare_population, verdict
from .ledger import Ledger
from .pieces import PIECE_SYNAPSES, PLAYED, Net, Piece, net, plan, runs


@runtime_checkable
class Replayer(Protocol):
    """What a witness needs to be asked layer by layer."""

    @property
    def name(self) -> str:
        """What the command line calls it."""
        ...

    @property
    def replays_at_once(self) -> int:
        """How many replays may go on at once."""
        ...

    def replay(
        self,
        program: Program,
        played: Mapping[str, IntArray],
        steps: int,
        *,
        states: bool = False,
        progress: Progress | None = None,
    ) -> Stream:
        """Run a net whose Inputs send `played` [steps, *shape] as it is; record every step."""
        ...


def replayer(backend: Backend) -> Replayer:
    """`backend`, if it can replay. Raises InputError (SFX-E707)."""
    if not isinstance(backend, Replayer):
        raise InputError(
            "SFX-E707", f"{backend.name} cannot replay single layers", hint="use --mode full"
        )
    return backend


class _Stopped(Exception):
    """Another run failed, or nobody wants to know any more."""


class _Count:
    """Progress in populations: each piece is its share of one, and moves with its run's steps."""

    def __init__(self, pieces: list[Piece], progress: Progress | None) -> None:
        self._progress = progress
        self._pieces = Counter(p.population for p in pieces)
        self._done = Fraction(0)
        self._going: dict[str, Fraction] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """End the runs that still go on, at their next step."""
        self._stopped = True

    def done(self, pieces: Sequence[Piece]) -> None:
        """These are finished."""
        with self._lock:
            self._done += self._share(pieces)
            if pieces:
                self._going.pop(pieces[0].label, None)
            self._tell()

    def within(self, pieces: Sequence[Piece]) -> Progress:
        """For the steps of a run of these."""
        share = self._share(pieces)

        def step(done: int, steps: int) -> None:
            if self._stopped:
                raise _Stopped
            with self._lock:
                self._going[pieces[0].label] = share * Fraction(done, max(steps, 1))
                self._tell()

        return step

    def _share(self, pieces: Iterable[Piece]) -> Fraction:
        return sum((Fraction(1, self._pieces[p.population]) for p in pieces), Fraction(0))

    def _tell(self) -> None:
        if self._progress is not None:
            done = self._done + sum(self._going.values(), Fraction(0))
            self._progress(int(done), len(self._pieces))


def layerwise(
    program: Program,
    x: IntArray,
    expected: Stream,
    replayer: Replayer,
    *,
    witness: Program | None = None,
    states: bool = False,
    fraction: float = 1.0,
    resume: Path | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Every population of `program` against its replay in `replayer`.

    x, expected  events [K, T, *input shape] and the reference's record of them
    witness      replay the populations of this Program instead: shows that this can fail
    fraction     share of every population's neurons that are replayed, 0 < fraction <= 1
    resume       file that keeps what was compared, so that an ended run goes on from there
    progress     called with (populations done, populations)

    Raises InputError (SFX-E704 fraction, SFX-E705 resume), BackendError (SFX-E706) if an input
    did not play its record, and what the replayer raises.
    """
    if not 0 < fraction <= 1:
        raise InputError(
            "SFX-E704", f"the sample fraction is {fraction}", hint="more than 0, at most 1"
        )
    replayed = witness or program
    pieces = plan(replayed, fraction)
    settings = (replayer.name, states, fraction, PIECE_SYNAPSES)
    key = _key(program, replayed, x, settings) if resume else ""
    ledger = Ledger(resume, key, program)
    count = _Count(pieces, progress)
    count.done([p for p in pieces if p.label in ledger.parts])
    events = host_events(program, x, expected.steps)

    def replay(group: tuple[Piece, ...]) -> list[Part]:
        return _run(program, net(replayed, group), expected, events, replayer, states, count)

    left = runs(p for p in pieces if p.label not in ledger.parts)
    for group, parts in _side_by_side(left, replay, replayer.replays_at_once, count):
        ledger.add({p.label: part for p, part in zip(group, parts, strict=True)})
        count.done(group)
    found = [ledger.parts[p.label] for p in pieces]
    return verdict(program, found, replayer.name, "layerwise", states, len(x), expected.steps)


def _side_by_side(
    groups: Iterable[tuple[Piece, ...]],
    replay: Callable[[tuple[Piece, ...]], list[Part]],
    most: int,
    count: _Count,
) -> Iterator[tuple[tuple[Piece, ...], list[Part]]]:
    """Each group and its parts, `most` groups at a time: while one starts, another one runs."""
    if most <= 1:
        yield from ((group, replay(group)) for group in groups)
        return
    going: dict[Future[list[Part]], tuple[Piece, ...]] = {}
    with ThreadPoolExecutor(most) as pool:
        try:
            for group in groups:
                going[pool.submit(replay, group)] = group
                if len(going) == most:
                    for run in wait(going, return_when=FIRST_COMPLETED).done:
                        yield going.pop(run), run.result()
            for run in as_completed(list(going)):
                yield going.pop(run), run.result()
        except BaseException:
            count.stop()
            raise


def host_events(program: Program, x: IntArray, steps: int) -> IntArray:
    """What the host sends [steps, *input shape]: the samples from the input's phase on."""
    source = program.input
    out = np.zeros((steps, *source.shape), dtype=np.int64)
    flat = x.reshape(-1, *source.shape)
    out[source.phase : source.phase + len(flat)] = flat
    return out


def _run(
    program: Program,
    group: Net,
    expected: Stream,
    events: IntArray,
    replayer: Replayer,
    states: bool,
    count: _Count,
) -> list[Part]:
    """The parts of one run. The input's own events come from the samples, not from a record."""
    played = {
        name: recorded(expected, of, at)
        for name, (of, at) in group.played.items()
        if isinstance(group.program[name].neuron, Input)
    }
    for q in group.program:
        if isinstance(q.neuron, Input) and not q.name.startswith(PLAYED):
            played[q.name] = events
    got = replayer.replay(
        group.program, played, expected.steps, states=states, progress=count.within(group.pieces)
    )
    for name, record in played.items():
        if not np.array_equal(got.spikes[name], record):
            raise BackendError("SFX-E706", "the witness did not play the record", where=name)
    return [
        compare_population(
            program,
            piece.population,
            expected,
            _only(got, piece),
            states=states,
            neurons=piece.neurons,
            label=piece.label,
        )
        for piece in group.pieces
    ]


def recorded(expected: Stream, name: str, at: IntArray | None) -> IntArray:
    """What was recorded of a population [steps, *shape], or of its neurons `at` [steps, n]."""
    record = expected.spikes[name]
    return record if at is None else record.reshape(len(record), -1)[:, at]


def _only(got: Stream, piece: Piece) -> Stream:
    """The record of a piece without its spare neurons."""
    if piece.neurons is None:
        return got
    keep = slice(len(piece.neurons))
    spikes, u, v = (
        {piece.label: m[piece.label][:, keep]} if piece.label in m else {}
        for m in (got.spikes, got.u, got.v)
    )
    return Stream(got.samples, spikes, u, v)


def _key(program: Program, witness: Program, x: IntArray, settings: tuple[object, ...]) -> str:
    """What a resumed comparison must have in common with its beginning."""
    both = digest(program), digest(witness)
    found = hashlib.sha256(repr((settings, both, x.shape)).encode())
    found.update(np.ascontiguousarray(x, dtype=np.int64).tobytes())
    return found.hexdigest()
