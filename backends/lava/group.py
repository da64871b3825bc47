"""The processes of one worker and the shared memory they made: found, counted, removed.

The worker leads a session of its own, so its session id marks every process that Lava forks, and
nothing else. Lava's channels are shared memory segments /dev/shm/psm_*; a killed run would leave
them behind. Those that a process of the session has mapped are its own, and only they go.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
SHARED_MEMORY = Path("/dev/shm")
SEGMENT_PREFIX = "psm_"
KILL_SECONDS = 10.0
"""How long killed processes may take to go: they hold hundreds of descriptors each."""
SETTLE_SECONDS = 0.01
"""Between a signal and looking at what it did."""


def members(session: int) -> list[int]:
    """Pids of the live processes of a session (zombies have nothing left to end)."""
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # pid (command) state ppid pgrp session ...; the command may hold anything
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if len(fields) > 3 and int(fields[3]) == session and fields[0] not in "ZX":
            found.append(int(entry.name))
    return found


def segments(pids: list[int]) -> set[Path]:
    """The shared memory segments that these processes have mapped."""
    prefix = f"{SHARED_MEMORY}/{SEGMENT_PREFIX}"
    found = set()
    for pid in pids:
        try:
            lines = (PROC / str(pid) / "maps").read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            path = line.partition("/")[1:]
            name = "".join(path).removesuffix(" (deleted)")
            if name.startswith(prefix):
                found.add(Path(name))
    return found


def end(session: int, *, spare: int | None = None) -> None:
    """Kill every process of the session but `spare`, and remove the segments they have mapped.

    Whoever does this may be killed at any moment. So the session's leader is left running to the
    last, for it does the same once it has lost its parent; and segments lose their names while
    those that have them mapped still live, or no one could find them.

    Must run before the session's leader is waited for: until then its number is not given away.
    """
    _signal(_others(session, session), signal.SIGSTOP)  # none may make another segment
    time.sleep(SETTLE_SECONDS)
    for path in segments(members(session)):
        path.unlink(missing_ok=True)
    deadline = time.monotonic() + KILL_SECONDS
    while (left := _others(session, spare)) and time.monotonic() < deadline:
        # again and again, for those forked before their parent's turn came
        _signal([pid for pid in left if pid != session] or left, signal.SIGKILL)
        time.sleep(SETTLE_SECONDS)


def _others(session: int, spare: int | None) -> list[int]:
    return [pid for pid in members(session) if pid != spare]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
