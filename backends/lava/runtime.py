"""Runs a job in a worker process, watches it, and leaves nothing behind on any way out.

Success, a failing process model, a timeout, Ctrl-C, SIGTERM: each ends in `group.end` on the
worker's session and in the removal of the job directory.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from ...toolchain.ground.errors import BackendError, MissingPartError
from ...toolchain.ground.folder import worker_environment
from ..base import Progress
from . import group
from .job import Directory, Job, Outcome

T = TypeVar("T")
POLL_SECONDS = 0.05
COUNT_SECONDS = 1.0
"""How often the worker's processes are counted, the sign of life while Lava starts."""


@dataclass(frozen=True)
class Patience:
    """Seconds that a run may take in all, and without any progress, before it is ended."""

    overall: float = 3600.0
    stall: float = 120.0


def available() -> str | None:
    """None if Lava can be used here, else why not."""
    if sys.platform != "linux":
        return f"the lava backend needs Linux, but this is {sys.platform}"
    if sys.version_info[:2] != (3, 10):
        here = ".".join(map(str, sys.version_info[:2]))
        return f"Lava 0.10 runs on Python 3.10 only, but this is Python {here}"
    try:
        version = importlib.metadata.version("lava-nc")
    except importlib.metadata.PackageNotFoundError:
        return "lava-nc is not installed"
    return None if version.startswith("0.10.") else f"lava-nc is {version}, but 0.10 is needed"


def require() -> None:
    """Raise MissingPartError (SFX-E501) if Lava cannot be used here."""
    reason = available()
    if reason:
        raise MissingPartError(
            "SFX-E501",
            reason,
            hint="pip install lava-nc==0.10.0 lava-dl==0.6.0 on Python 3.10 and Linux; all else "
            "runs without them",
        )


@contextmanager
def directory() -> Iterator[Directory]:
    """A job directory that is removed in the end, on SIGTERM and SIGHUP as well."""
    with _terminable():
        path = Path(tempfile.mkdtemp(prefix="sfx-lava-"))
        try:
            yield Directory(path)
        finally:
            with _uninterrupted():
                shutil.rmtree(path, ignore_errors=True)


def execute(
    job: Job,
    where: Directory,
    result: Callable[[], T],
    *,
    patience: Patience,
    progress: Progress | None = None,
) -> T:
    """Run `job` in a worker; what `result` makes of the complete records in `where`.

    The worker is there from before the first file until after the last: were this process killed,
    it would remove them. Raises BackendError: SFX-E506 a Lava process failed (named), SFX-E507 no
    progress, SFX-E508 too long, SFX-E509 the worker died.
    """
    with where.log.open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "sfx.backends.lava.worker", str(where.path), str(os.getpid())],
            cwd=where.path,  # a file of the user's named lava.py must not be imported
            # many processes on few cores: threads in each would only get in the way
            env={**worker_environment(), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=None if job.verbose else log,
            stderr=None if job.verbose else log,
            start_new_session=True,  # its session marks all processes that Lava forks
        )
        try:
            where.write_job(job)
            _watch(worker, job, where, patience, progress)
            return result()
        finally:
            with _uninterrupted():
                group.end(worker.pid, spare=worker.pid)
                shutil.rmtree(where.path, ignore_errors=True)
                group.end(worker.pid)
                worker.wait()


def _watch(
    worker: subprocess.Popen[bytes],
    job: Job,
    where: Directory,
    patience: Patience,
    progress: Progress | None,
) -> None:
    """Return when the worker says done; raise when it fails, dies, stalls or takes too long."""
    start = moved = counted = time.monotonic()
    seen: tuple[str, int, int] = ("", 0, 0)
    processes = 0
    while True:
        outcome = where.outcome()
        steps = where.done_steps()
        if progress and steps != seen[1]:
            progress(steps, job.steps)
        if outcome and outcome.done:
            return
        if outcome:
            raise BackendError(
                outcome.code, outcome.what, where=outcome.where, hint=_origin(outcome)
            )
        if _ended(worker):
            raise _died(worker, where)
        now = time.monotonic()
        if now - counted > COUNT_SECONDS:
            processes, counted = len(group.members(worker.pid)), now
        state = (where.phase(), steps, processes)
        if state != seen:
            seen, moved = state, now
        if now - moved > patience.stall:
            _give_up("SFX-E507", f"no progress for {patience.stall:g} s", job, where, seen)
        if now - start > patience.overall:
            _give_up("SFX-E508", f"not finished after {patience.overall:g} s", job, where, seen)
        time.sleep(POLL_SECONDS)


def _ended(worker: subprocess.Popen[bytes]) -> bool:
    """True if the worker ended; without waiting for it, so that its pid stays its own."""
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, worker.pid, options) is not None


def _died(worker: subprocess.Popen[bytes], where: Directory) -> BackendError:
    result = os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    how = "ended"
    if result is not None and result.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
        how = f"was ended by signal {signal.Signals(result.si_status).name}"
    return BackendError(
        "SFX-E509", f"the process that runs Lava {how} while {where.phase()}", hint=_log(where)
    )


def _give_up(
    code: str, what: str, job: Job, where: Directory, seen: tuple[str, int, int]
) -> NoReturn:
    phase, steps, processes = seen
    raise BackendError(
        code,
        f"{what}: {phase}, {steps} of {job.steps} steps, {processes} processes",
        hint=_log(where) or "allow it more time, or verify fewer samples or layers at a time",
    )


def _origin(outcome: Outcome) -> str:
    """The line of code that failed; the whole traceback is no use without Lava's source."""
    frames = re.findall(r'File "(.*)", line (\d+), in (\w+)', outcome.trace)
    if not frames:
        return "run it with LavaBackend(verbose=True) to see what Lava says"
    path, line, function = frames[-1]
    return f"raised in {'/'.join(Path(path).parts[-3:])}, line {line}, {function}"


def _log(where: Directory) -> str:
    tail = where.log_tail()
    return f"Lava said:\n{tail}" if tail else ""


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind like Ctrl-C, so that nothing is left behind."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers; the worker notices a lost parent
        return

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    ours = [s for s in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(s) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold signals back: a second Ctrl-C must not cut the clean-up short."""
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
