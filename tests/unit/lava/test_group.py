"""A session's processes and shared memory are found, and only they are ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from sfx.backends.lava import group

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

# a session of two processes with one segment each, then silence
SCRIPT = """
import os, sys, time
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory
child = os.fork()
mine = SharedMemory(create=True, size=100)
resource_tracker.unregister(mine._name, "shared_memory")
os.write(1, mine._name.encode() + b"\\n")  # in one piece
time.sleep(60)
"""


@pytest.fixture
def session() -> Iterator[tuple[int, set[Path]]]:
    leader = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, start_new_session=True
    )
    assert leader.stdout is not None
    with leader.stdout as out:
        names = {out.readline().decode().strip(), out.readline().decode().strip()}
    yield leader.pid, {group.SHARED_MEMORY / name.lstrip("/") for name in names}
    group.end(leader.pid)
    leader.wait()


def test_members_and_segments(session: tuple[int, set[Path]]) -> None:
    leader, paths = session
    members = group.members(leader)
    assert len(members) >= 2
    assert leader in members
    assert os.getpid() not in members
    assert len(paths) == 2
    assert group.segments(members) == paths
    assert group.segments([os.getpid()]).isdisjoint(paths)


def test_end_removes_the_session_and_nothing_else(session: tuple[int, set[Path]]) -> None:
    leader, paths = session
    other = SharedMemory(create=True, size=100)
    try:
        group.end(leader)
        assert group.members(leader) == []
        assert [p for p in paths if p.exists()] == []
        assert (group.SHARED_MEMORY / other.name).exists(), "a segment of someone else's"
    finally:
        other.close()
        other.unlink()


def test_end_spares_one(session: tuple[int, set[Path]]) -> None:
    leader, paths = session
    group.end(leader, spare=leader)
    assert group.members(leader) == [leader]
    assert [p for p in paths if p.exists()] == []


def test_nothing_is_found_for_a_session_that_is_gone() -> None:
    assert group.members(2**22 + 1) == []
    assert group.segments([2**22 + 1]) == set()
