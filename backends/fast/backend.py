"""The fast backend: the bits of the reference, layer by layer over batches of samples."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ground.errors import BackendError
from ...toolchain.ground.memory import require
from ...toolchain.ir.program import Population, Program
from .. import check_input
from ..base import Counts, Progress, Result, Stream
from .plan.lead_in import before_first_step
from .plan.prepared import Prepared
from .plan.spans import Past, Span
from .run.execute import execute
from .run.layout import Sent
from .run.neurons import State
from .run.tallies import MOST_LANES, Counted, Later, PairTally, Tally

if TYPE_CHECKING:
    from .run.device import OnDevice

Ran = tuple[IntArray, Mapping[str, Counted]]
"""Output spikes summed over T [K, output size], and what was counted."""
_ONE_AT_A_TIME = threading.Lock()
"""A run takes all cores, and its buffers and numba's threads serve one caller at a time."""
MEMORY = 64 << 20
"""Default for the memory of a batch in bytes. Smaller batches stay nearer the caches."""


class FastBackend:
    """Executes balanced Programs; keeps the last one readied.

    memory: bytes that the arrays of a batch may take; a batch holds at least one sample.
    most: bytes that a sample may take, with all that is counted; default: what is free.
    device: "cpu", or "cuda"; "torch-cpu" runs the device's code on the CPU.
    """

    name = "fast"

    def __init__(self, memory: int = MEMORY, device: str = "cpu", most: int | None = None) -> None:
        self.memory, self.device, self.most = memory, device, most
        self._ready: tuple[Program, Prepared, Past] | None = None
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
        ready, past = self._prepared(program)
        run = _on_cpu if self.device == "cpu" else self._on_device
        sums, tallies = run(ready, past, x, self._lanes(ready), progress)
        sums += np.asarray(program.readout.offset, dtype=np.int64)
        seconds = time.perf_counter() - start
        return Result(self.name, sums, _counts(tallies, len(x)), seconds)

    def _lanes(self, ready: Prepared) -> int:
        """Samples that fit into the memory allowed."""
        each = ready.lane_bytes(ready.program.timesteps)
        return min(MOST_LANES, max(1, self.memory // each))

    def _on_device(
        self, ready: Prepared, past: Past, x: IntArray, lanes: int, progress: Progress | None
    ) -> Ran:
        from .run.device import OnDevice

        if self._device is None or self._device.ready is not ready:
            self._device = OnDevice(ready, past, self.device)
        lanes = self._device.lanes(self.memory)
        tallies, sums = self._device.tallies(), []
        for i in range(0, len(x), lanes):
            sums.append(self._device.run(x[i : i + lanes], tallies).cpu().numpy())
            if progress is not None:
                progress(min(i + lanes, len(x)), len(x))
        return np.concatenate(sums), tallies

    def layers(self, program: Program, x: IntArray) -> dict[str, IntArray]:
        """What every population sends [K, T, *shape], K samples streamed back to back.

        Uses `lag`, neither phases nor delays, so it takes unbalanced Programs too.
        x [K, T, *input shape]. Raises InputError (SFX-E510, E511).
        """
        x = check_input.events(program, x)
        samples, timesteps = x.shape[:2]
        steps = samples * timesteps
        sent: dict[str, IntArray] = {}

        def keep(p: Population, s: Sent, state: State | None) -> None:
            sent[p.name] = s.flat.reshape(samples, timesteps, *p.shape).astype(np.int64)

        ready = Prepared(program, wide=True)
        lane = x.reshape(1, steps, *program.input.shape)
        with _ONE_AT_A_TIME:
            execute(ready, lane, Span(steps), Past(), keep, ready.tallies(steps))
        return {p.name: sent[p.name] for p in program}

    def _prepared(self, program: Program) -> tuple[Prepared, Past]:
        if self._ready is None or self._ready[0] is not program:
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
            self._ready = program, ready, before_first_step(program, ready)
        return self._ready[1:]


def _on_cpu(ready: Prepared, past: Past, x: IntArray, lanes: int, progress: Progress | None) -> Ran:
    program = ready.program
    output = program[program.readout.population]
    tallies = _tallies(ready, past)
    sums = np.zeros((len(x), output.size), dtype=np.int64)
    for i in range(0, len(x), lanes):
        batch = slice(i, i + lanes)

        def keep(p: Population, s: Sent, state: State | None, batch: slice = batch) -> None:
            if p is output:
                sums[batch] = s.flat.sum(axis=1, dtype=np.int64)

        execute(ready, x[batch], Span(program.timesteps), past, keep, tallies)
        if progress is not None:
            progress(min(i + lanes, len(x)), len(x))
    return sums, tallies


def _tallies(ready: Prepared, past: Past) -> dict[str, Tally | PairTally]:
    tallies = ready.tallies(ready.program.timesteps)
    for tally in tallies.values():
        if isinstance(tally, PairTally):
            tally.starts_after(past.sent)
    return tallies


def _counts(tallies: Mapping[str, Counted], samples: int) -> Counts:
    return Counts(
        samples,
        Later(
            {n: t.event_counts for n, t in tallies.items()},
            {n: t.event_total for n, t in tallies.items()},
        ),
        Later({n: t.active_counts for n, t in tallies.items()}, {}),
    )
