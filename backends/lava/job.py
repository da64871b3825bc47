"""The files that a parent and its worker process share, in a directory of their own.

job.pickle     what to run (written by the parent, 0700 directory: no stranger can write it)
phase          "building", "starting", "running"
clock.npy      int64 [1]: hardware steps recorded so far
values.npy     int32 [steps, neurons of all populations]: what each population sent
states.npy     int32 [steps, 2, neurons of all LIFs]: u and v
outcome.json   how it ended; absent if the worker died
log            stdout and stderr of the worker and of every Lava process
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...toolchain.ground.arith import IntArray
from ...toolchain.ir.program import Program


@dataclass(frozen=True, eq=False)
class Job:
    """One run. `events` [K, T, *input shape].

    played  where given, what each Input sends [steps, *shape], step by step, instead of `events`
    """

    program: Program
    events: IntArray
    steps: int
    states: bool
    verbose: bool = False
    played: Mapping[str, IntArray] | None = None


@dataclass(frozen=True)
class Outcome:
    """How the worker ended. `where`, `what`, `trace`: the first Lava process that failed."""

    done: bool
    where: str = ""
    what: str = ""
    trace: str = ""
    code: str = "SFX-E506"


def columns(program: Program, *, lif_only: bool = False) -> dict[str, slice]:
    """Population name -> its columns in values.npy, or in states.npy with `lif_only`."""
    out: dict[str, slice] = {}
    at = 0
    for p in program:
        if lif_only and not p.neuron.recorded:
            continue
        out[p.name] = slice(at, at + p.size)
        at += p.size
    return out


def width(slices: dict[str, slice]) -> int:
    """Columns in all."""
    return max((s.stop for s in slices.values()), default=0)


class Directory:
    """The job directory; both sides make one from the same path."""

    unwritten = int(np.iinfo(np.int32).min)
    """What states.npy holds before a probe writes: no u or v is that far outside 24 bits."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.values = path / "values.npy"
        self.states = path / "states.npy"
        self.clock = path / "clock.npy"
        self.log = path / "log"
        self._job = path / "job.pickle"
        self._phase = path / "phase"
        self._outcome = path / "outcome.json"

    def write_job(self, job: Job) -> None:
        """Make the files that the Lava processes fill, then store the job, in one step."""
        _allocate(self.clock, (1,), np.int64)
        _allocate(self.values, (job.steps, width(columns(job.program))), np.int32)
        if job.states:
            shape = (job.steps, 2, width(columns(job.program, lif_only=True)))
            _allocate(self.states, shape, np.int32, self.unwritten)
        draft = self._job.with_suffix(".draft")
        draft.write_bytes(pickle.dumps(job))
        os.replace(draft, self._job)

    def read_job(self) -> Job | None:
        """The job as its parent wrote it, None before that."""
        if not self._job.exists():
            return None
        job = pickle.loads(self._job.read_bytes())
        if not isinstance(job, Job):
            raise TypeError(f"not a job: {type(job).__name__}")
        return job

    def set_phase(self, phase: str) -> None:
        """Say what the worker is doing."""
        self._phase.write_text(phase)

    def phase(self) -> str:
        """What the worker said last."""
        return self._phase.read_text() if self._phase.exists() else "loading Lava"

    def done_steps(self) -> int:
        """Hardware steps recorded so far."""
        return int(np.load(self.clock, mmap_mode="r")[0])

    def finish(self, outcome: Outcome) -> None:
        """Say how it ended, in one step: the parent never sees half a file."""
        draft = self._outcome.with_suffix(".draft")
        draft.write_text(json.dumps(vars(outcome)))
        os.replace(draft, self._outcome)

    def outcome(self) -> Outcome | None:
        """How it ended, None while it runs or if it died."""
        if not self._outcome.exists():
            return None
        return Outcome(**json.loads(self._outcome.read_text()))

    def log_tail(self, lines: int = 15) -> str:
        """The last lines that the worker and the Lava processes printed."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _allocate(path: Path, shape: tuple[int, ...], dtype: type[np.generic], fill: int = 0) -> None:
    np.save(path, np.full(shape, fill, dtype=dtype))
