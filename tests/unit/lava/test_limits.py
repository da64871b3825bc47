"""A run that the machine cannot hold is refused before it starts, with numbers and a way out."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from sfx.backends.lava import limits
from sfx.backends.lava.limits import Need
from sfx.toolchain.ground.errors import BackendError
from tests.unit.lava.nets import chain

SMALL = Need(processes=10, descriptors=200, memory=1 << 20, shared=1 << 20)


def refusal(wanted: Need, files: int = 0) -> BackendError:
    with pytest.raises(BackendError) as caught:
        limits.check(wanted, files, Path("/tmp"))
    return caught.value


def test_need_counts_every_os_process_and_channel() -> None:
    """Measured: 3 connections, 3 neurons, a source and a recorder make 12 processes."""
    alone = limits.need(chain(2))
    recorded = limits.need(chain(2), recorded=True)
    assert alone.processes == 3 + 3 + 4
    assert recorded.processes == alone.processes + 2, "and the source and the recorder"
    assert recorded.descriptors > alone.descriptors > 100
    assert recorded.memory > recorded.processes * 10 << 20


def test_need_grows_with_weights() -> None:
    small, large = limits.need(chain(1)), limits.need(chain(1, size=100_000))
    assert large.memory - small.memory > 100_000 * 8


def test_what_fits_is_not_refused() -> None:
    limits.check(SMALL, 1000, Path("/tmp"))


def test_too_many_processes() -> None:
    error = refusal(limits.need(chain(150)))
    assert error.code == "SFX-E502"
    assert "306" in str(error)
    assert str(limits.MAX_PROCESSES) in str(error)
    assert "layers" in str(error)


def test_too_few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, 150))
    error = refusal(SMALL)
    assert error.code == "SFX-E503"
    assert "200" in str(error)
    assert "150" in str(error)
    with pytest.raises(BackendError, match="SFX-E503"):
        limits.raise_soft(SMALL)


def test_too_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1 << 19))
    error = refusal(SMALL)
    assert error.code == "SFX-E504"
    assert "1 MB" in str(error)


def test_too_little_room_for_channels_or_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 19))
    assert refusal(SMALL).code == "SFX-E505"
    monkeypatch.setattr(psutil, "disk_usage", lambda path: SimpleNamespace(free=2 << 20))
    error = refusal(SMALL, files=3 << 20)
    assert error.code == "SFX-E505"
    assert "3 MB" in str(error)


def test_soft_limits_are_raised_and_never_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, 5000))
    monkeypatch.setattr(resource, "setrlimit", lambda which, pair: set_to.append(pair))
    depth = sys.getrecursionlimit()
    try:
        limits.raise_soft(SMALL)
        assert sys.getrecursionlimit() >= limits.RECURSION
    finally:
        sys.setrecursionlimit(depth)
    assert set_to == [(200, 5000)]
    monkeypatch.setattr(resource, "getrlimit", lambda which: (400, 5000))
    limits.raise_soft(SMALL)
    sys.setrecursionlimit(depth)
    assert set_to == [(200, 5000)]
