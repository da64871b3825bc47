"""The fast backend: the bits of the reference, layer by layer over batches of samples."""

from __future__ import annotations

import time

import numpy as np

from sfx.backends import check_input
from sfx.backends.base import Counts, Progress, Result, Stream
from sfx.backends.fast.before import before_first_step
from sfx.backends.fast.execute import Past, Prepared, Span, execute
from sfx.backends.fast.neurons import State, Tally
from sfx.backends.fast.projections import Values
from sfx.toolchain.arith import IntArray
from sfx.toolchain.errors import BackendError
from sfx.toolchain.ir.program import Population, Program

MEMORY = 64 << 20
"""Default for the memory of a batch in bytes. Smaller batches stay nearer the caches."""


class FastBackend:
    """Executes balanced Programs; keeps the last one readied.

    memory: bytes that the arrays of a batch may take; a batch holds at least one sample.
    """

    name = "fast"

    def __init__(self, memory: int = MEMORY) -> None:
        self.memory = memory
        self._ready: tuple[Program, Prepared, Past] | None = None

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
        BackendError (SFX-E541) if a population leaves its declared range.
        """
        check_input.balanced(program)
        x = check_input.events(program, x)
        start = time.perf_counter()
        ready, past = self._prepared(program)
        lanes = max(1, self.memory // ready.lane_bytes(program.timesteps))
        tallies = {p.name: Tally.zero(program.timesteps, p.size) for p in program}
        read = program.readout
        sums = np.empty((len(x), program[read.population].size), dtype=np.int64)
        sums[:] = np.asarray(read.offset, dtype=np.int64)
        for i in range(0, len(x), lanes):
            batch = slice(i, i + lanes)

            def keep(p: Population, s: Values, state: State | None, batch: slice = batch) -> None:
                if p.name == read.population:
                    sums[batch] += s.sum(axis=1, dtype=np.int64)

            execute(ready, x[batch], Span(program.timesteps), past, keep, tallies)
            if progress is not None:
                progress(min(i + lanes, len(x)), len(x))
        counts = _counts(program, tallies, len(x))
        return Result(self.name, sums, counts, time.perf_counter() - start)

    def layers(self, program: Program, x: IntArray) -> dict[str, IntArray]:
        """What every population sends [K, T, *shape], K samples streamed back to back.

        Uses `lag`, neither phases nor delays, so it takes unbalanced Programs too.
        x [K, T, *input shape]. Raises InputError (SFX-E510, E511).
        """
        x = check_input.events(program, x)
        samples, timesteps = x.shape[:2]
        steps = samples * timesteps
        sent: dict[str, IntArray] = {}

        def keep(p: Population, s: Values, state: State | None) -> None:
            sent[p.name] = s.reshape(samples, timesteps, *p.shape).astype(np.int64)

        tallies = {p.name: Tally.zero(steps, p.size) for p in program}
        ready = Prepared(program, wide=True)
        execute(
            ready, x.reshape(1, steps, *program.input.shape), Span(steps), Past(), keep, tallies
        )
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
            self._ready = program, Prepared(program), before_first_step(program)
        return self._ready[1:]


def _counts(program: Program, tallies: dict[str, Tally], samples: int) -> Counts:
    shapes = {p.name: (program.timesteps, *p.shape) for p in program}
    return Counts(
        samples,
        {n: tallies[n].events.reshape(shape) for n, shape in shapes.items()},
        {n: tallies[n].active.reshape(shape) for n, shape in shapes.items()},
    )
