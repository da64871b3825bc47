"""The fast backend: the bits of the reference, layer by layer over batches of samples."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ground.errors import BackendError
from ...toolchain.ground.memory import require
from ...toolchain.ir.program import Population, Program
from .. import check_input
from ..base import Counts, Progress, Result, Stream
from .plan.prepared import Prepared
from .plan.spans import Span
from .run.arena import Arena
from .run.execute import execute
from .run.lead_in import initial_conditions
from .run.neurons import LeftRange
from .run.sent import Sent
from .run.state import InitialConditions, State
from .run.tallies import MOST_LANES, Counted, CountsOnDemand, PairTally, Tally, tallies_of

if TYPE_CHECKING:
    from .run.device import OnDevice

Ran = tuple[IntArray, Mapping[str, Counted], Mapping[str, int]]
"""Output spikes summed over T [K, output size], what was counted, and what left its range."""
_ONE_AT_A_TIME = threading.Lock()
"""A run takes all cores, and its buffers and numba's threads serve one caller at a time."""
MEMORY = 64 << 20
"""Default for the memory of a batch in bytes. Smaller batches stay nearer the caches."""


@dataclass(frozen=True, eq=False)
class _Readied:
    """The Program that was run last, with all that its samples share."""

    plan: Prepared
    initial: InitialConditions
    arena: Arena = field(default_factory=Arena)


class FastBackend:
    """Executes balanced Programs; keeps the last one readied.

    memory: bytes that the arrays of a batch may take; a batch holds at least one sample.
    most: bytes that a sample may take, with all that is counted; default: what is free.
    device: "cpu", or "cuda"; "torch-cpu" runs the device's code on the CPU.
    """

    name = "fast"

    def __init__(self, memory: int = MEMORY, device: str = "cpu", most: int | None = None) -> None:
        self.memory, self.device, self.most = memory, device, most
        self._ready: _Readied | None = None
        self._device: OnDevice | None = None

    def stream(
        self,
        program: Program,
        x: IntArray,
        *,
        states: bool = False,
        progress: Progress | None = None,
    ) -> Stream:
        """Not offered: raises BackendError (SFX-E542)."""
        raise BackendError(
            "SFX-E542",
            "the fast backend works in model time and keeps no record of hardware steps",
            where=program.name,
            hint="take streams from the reference backend",
        )

    def run(self, program: Program, x: IntArray, *, progress: Progress | None = None) -> Result:
        """K samples, each alone; sums and counts equal to the reference's. x [K, T, *input shape].

        Raises InputError (SFX-E510, E511) for x, SfxError (SFX-E512) if delays are not balanced,
        InputError (SFX-E605) if a sample takes more memory than there is or than `most`,
        BackendError (SFX-E541) if a population leaves its declared range, MissingPartError
        (SFX-E546) if the device is not there.
        """
        check_input.balanced(program)
        x = check_input.events(program, x)
        with _ONE_AT_A_TIME:
            return self._run(program, x, progress)

    def _run(self, program: Program, x: IntArray, progress: Progress | None) -> Result:
        start = time.perf_counter()
        ready = self._prepared(program)
        run = _on_cpu if self.device == "cpu" else self._on_device
        try:
            sums, tallies, left = run(ready, x, self._lanes(ready.plan), progress)
        except LeftRange:  # what is planned for the ranges does not hold what comes of it
            wide = Prepared(program, wide=True)
            any_width = _Readied(wide, _before(program, wide))
            sums, tallies, left = _on_cpu(any_width, x, self._lanes(wide), progress)
        sums += np.asarray(program.readout.offset, dtype=np.int64)
        seconds = time.perf_counter() - start
        return Result(self.name, sums, _counts(tallies, len(x)), seconds, left)

    def _lanes(self, ready: Prepared) -> int:
        """Samples that fit into the memory allowed."""
        each = ready.lane_bytes(ready.program.timesteps)
        return min(MOST_LANES, max(1, self.memory // each))

    def _on_device(
        self, ready: _Readied, x: IntArray, lanes: int, progress: Progress | None
    ) -> Ran:
        from .run.device import OnDevice

        if self._device is None or self._device.ready is not ready.plan:
            self._device = OnDevice(ready.plan, ready.initial, self.device)
        lanes = self._device.lanes(self.memory)
        tallies, sums = self._device.tallies(), []
        for i in range(0, len(x), lanes):
            sums.append(self._device.run(x[i : i + lanes], tallies).cpu().numpy())
            if progress is not None:
                progress(min(i + lanes, len(x)), len(x))
        inside = {p.name: 0 for p in ready.plan.program if p.counted}
        return np.concatenate(sums), tallies, inside

    def layers(self, program: Program, x: IntArray) -> dict[str, IntArray]:
        """What every population sends [K, T, *shape], K samples streamed back to back.

        Uses `lag`, neither phases nor delays, so it takes unbalanced Programs too.
        x [K, T, *input shape]. Raises InputError (SFX-E510, E511).
        """
        x = check_input.events(program, x)
        if program.apart and len(x) > 1:
            each = [self.layers(program, x[i : i + 1]) for i in range(len(x))]
            return {p.name: np.concatenate([sent[p.name] for sent in each]) for p in program}
        samples, timesteps = x.shape[:2]
        steps = samples * timesteps
        sent: dict[str, IntArray] = {}

        def keep(p: Population, s: Sent, state: State | None) -> None:
            sent[p.name] = s.flat.reshape(samples, timesteps, *p.shape).astype(np.int64)

        ready = Prepared(program, wide=True)
        lane = x.reshape(1, steps, *program.input.shape)
        with _ONE_AT_A_TIME:
            tallies = tallies_of(ready, steps)
            execute(ready, lane, Span(steps), InitialConditions(), keep, tallies, Arena())
        return {p.name: sent[p.name] for p in program}

    def _prepared(self, program: Program) -> _Readied:
        if self._ready is None or self._ready.plan.program is not program:
            if program.input.phase != 0:
                raise BackendError(
                    "SFX-E543",
                    f"the input has phase {program.input.phase}, samples enter at hardware step 0",
                    where=program.input.name,
                    hint="run the BalanceDelays pass first",
                )
            ready = Prepared(program)
            if self.device == "cpu":
                needed = ready.sample_bytes(program.timesteps)
                require(needed, "one sample on fast", where=program.name, allowed=self.most)
            self._ready = _Readied(ready, _before(program, ready))
        return self._ready


def _before(program: Program, ready: Prepared) -> InitialConditions:
    """What holds before a sample: nothing where the host resets it."""
    return InitialConditions() if program.apart else initial_conditions(program, ready)


def _on_cpu(ready: _Readied, x: IntArray, lanes: int, progress: Progress | None) -> Ran:
    program = ready.plan.program
    output = program[program.readout.population]
    tallies = _tallies(ready)
    sums = np.zeros((len(x), output.size), dtype=np.int64)
    left = {p.name: 0 for p in program if p.counted}
    for i in range(0, len(x), lanes):
        batch = slice(i, i + lanes)

        def keep(p: Population, s: Sent, state: State | None, batch: slice = batch) -> None:
            if p is output:
                sums[batch] = program.readout.reduced(s.flat)
            if p.name in left:
                left[p.name] += p.left(s.values)

        span = Span(program.timesteps)
        execute(ready.plan, x[batch], span, ready.initial, keep, tallies, ready.arena)
        if progress is not None:
            progress(min(i + lanes, len(x)), len(x))
    return sums, tallies, left


def _tallies(ready: _Readied) -> dict[str, Tally | PairTally]:
    tallies = tallies_of(ready.plan, ready.plan.program.timesteps)
    for tally in tallies.values():
        if isinstance(tally, PairTally):
            tally.starts_after(ready.initial.sent)
    return tallies


def _counts(tallies: Mapping[str, Counted], samples: int) -> Counts:
    return Counts(
        samples,
        CountsOnDemand(
            {n: t.event_counts for n, t in tallies.items()},
            {n: t.event_total for n, t in tallies.items()},
        ),
        CountsOnDemand({n: t.active_counts for n, t in tallies.items()}, {}),
    )
