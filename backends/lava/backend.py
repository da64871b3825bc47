"""The backend `lava`: the Program on Intel's own process library, recorded step by step."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ...toolchain.ground import memory
from ...toolchain.ground.arith import IntArray
from ...toolchain.ground.errors import BackendError
from ...toolchain.ir.program import Program
from .. import check_input
from ..base import Counts, Progress, Result, Stream, align, each_alone, joined, left_ranges
from . import runtime, widths
from .connections import RULES as CONNECTIONS
from .job import Directory, Job, columns, width
from .neurons import RULES as NEURONS
from .runtime import Patience

ROOM_FOR_TWO = 4 << 30
"""Bytes free for two replays at once: each may have 80 processes of 11 MB, and its weights."""


@dataclass(frozen=True)
class LavaBackend:
    """Runs a balanced Program with lava-nc's fixed-point processes (Loihi2SimCfg).

    verbose  let Lava log and print to this process's stdout and stderr
    """

    verbose: bool = False
    patience: Patience = field(default_factory=Patience)
    name: str = "lava"

    @property
    def replays_at_once(self) -> int:
        """Replays that may go on at once: one starts on a core that another one leaves idle."""
        return 2 if memory.free() > ROOM_FOR_TWO else 1

    def stream(
        self,
        program: Program,
        x: IntArray,
        *,
        states: bool = False,
        progress: Progress | None = None,
    ) -> Stream:
        """Run K samples x [K, T, *input shape] back to back; record every hardware step.

        Hardware step h is Lava's step h + 1. Records all populations, inputs and clocks as Lava
        sent them; u and v of LIFs if `states`.

        Raises BackendError (SFX-E523) for widths that are not Loihi's, MissingPartError (SFX-E501)
        without Lava, InputError (SFX-E510, E511) for x,
        SfxError (SFX-E512) if delays are not balanced, BackendError (SFX-E502 to E509, E520) if
        the network is more than this machine can run or the run fails.
        """
        widths.loihis(program)
        runtime.require()
        check_input.balanced(program)
        x = check_input.events(program, x)
        if program.apart and len(x) > 1:
            return each_alone(lambda sample: self.stream(program, sample, states=states), x)
        steps = len(x) * program.timesteps + program.last_phase
        job = Job(program, x, steps, states, self.verbose)
        return self._record(job, progress)

    def replay(
        self,
        program: Program,
        played: Mapping[str, IntArray],
        steps: int,
        *,
        states: bool = False,
        progress: Progress | None = None,
    ) -> Stream:
        """Run a net whose Inputs, any number of them, send `played` [steps, *shape] as it is.

        Values are any of 32 bits, also of an Input that declares none; phases count from the
        first step played. Raises as `stream`, except for data, and InputError (SFX-E513) if
        `played` lacks an Input or has another shape.
        """
        widths.loihis(program)
        runtime.require()
        check_input.balanced(program)
        check_input.played(program, played, steps)
        nothing = np.zeros((0, program.timesteps), dtype=np.int64)
        # what Lava's channels carry, and half of what the worker would have to be handed
        played = {name: record.astype(np.int32) for name, record in played.items()}
        job = Job(program, nothing, steps, states, self.verbose, played)
        return self._record(job, progress)

    def _record(self, job: Job, progress: Progress | None) -> Stream:
        from . import limits  # needs POSIX, which `require` has asked for

        program = job.program
        check_input.kinds(program, NEURONS, CONNECTIONS)
        with runtime.directory() as where:
            limits.check(limits.need(program, recorded=True), _record_bytes(job), where.path)
            return runtime.execute(
                job, where, lambda: _read(job, where), patience=self.patience, progress=progress
            )

    def run(self, program: Program, x: IntArray, *, progress: Progress | None = None) -> Result:
        """Run K samples; sums and event counts come from the recorded spikes.

        `counts.active` is empty: what a neuron has to update cannot be seen from outside.
        """
        start = time.perf_counter()
        record = self.stream(program, x, progress=progress)
        samples, timesteps = len(x), program.timesteps

        def model_time(name: str) -> IntArray:
            return align(record.spikes[name], program[name].phase, samples, timesteps)

        readout = program.readout
        left = left_ranges(program, {p.name: model_time(p.name) for p in program})
        if samples > 1 and any(left.values()):
            # What left its range may reach the next sample, and each is to run alone.
            return joined([self.run(program, x[i : i + 1]) for i in range(samples)])
        read = model_time(readout.population).reshape(samples, timesteps, -1)
        events = {p.name: (model_time(p.name) != 0).sum(axis=0).astype(np.int64) for p in program}
        return Result(
            self.name,
            readout.sums(read),
            Counts(samples, events, {}),
            time.perf_counter() - start,
            left,
        )


def _record_bytes(job: Job) -> int:
    values = width(columns(job.program))
    states = 2 * width(columns(job.program, lif_only=True)) if job.states else 0
    return 4 * job.steps * (values + states)


def _read(job: Job, where: Directory) -> Stream:
    """The records as int64 arrays [H, *shape], after a check that every row was written."""
    if where.done_steps() != job.steps:
        raise BackendError("SFX-E509", f"Lava recorded {where.done_steps()} of {job.steps} steps")
    program = job.program
    values = np.load(where.values)

    def part(rows: IntArray, name: str, at: slice) -> IntArray:
        return rows[:, at].astype(np.int64).reshape(job.steps, *program[name].shape)

    spikes = {name: part(values, name, at) for name, at in columns(program).items()}
    if not job.states:
        return Stream(len(job.events), spikes)
    states = np.load(where.states)
    if np.any(states == where.unwritten):
        raise BackendError("SFX-E509", "a probe did not write u and v of every step")
    lifs = columns(program, lif_only=True)
    u = {name: part(states[:, 0], name, at) for name, at in lifs.items()}
    v = {name: part(states[:, 1], name, at) for name, at in lifs.items()}
    return Stream(len(job.events), spikes, u, v)
