"""However a run ends, nothing of it is left: no process, no shared memory, no directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest

import sfx
from sfx.backends.lava import group
from sfx.backends.lava.backend import LavaBackend
from sfx.backends.lava.runtime import Patience
from sfx.toolchain.ground.errors import BackendError
from tests.unit.lava.nets import chain, changed, events

pytestmark = pytest.mark.needs_lava

NET = chain(2)
ROOT = Path(__file__).parents[3]


@dataclass
class Witness:
    """A progress callback that notes what the run has made, once Lava is running."""

    session: int = 0
    members: list[int] = field(default_factory=list)
    segments: set[Path] = field(default_factory=set)

    def __call__(self, done: int, total: int) -> None:
        if self.session:
            return
        workers = [
            c for c in psutil.Process().children() if "sfx.backends.lava.worker" in c.cmdline()
        ]
        assert len(workers) == 1
        self.session = workers[0].pid
        self.members = group.members(self.session)
        self.segments = group.segments(self.members)

    def assert_all_gone(self) -> None:
        assert len(self.members) > 5, "saw the Lava processes"
        assert len(self.segments) > 5, "saw their shared memory"
        assert group.members(self.session) == []
        assert [s for s in self.segments if s.exists()] == []


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where job directories go; asserted to be empty in the end."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_success_leaves_nothing(folder: Path) -> None:
    witness = Witness()
    LavaBackend().stream(NET, events(NET, 20), progress=witness)
    witness.assert_all_gone()
    assert list(folder.iterdir()) == []


def test_exception_in_a_model_names_the_process(folder: Path) -> None:
    """Lava itself would hang: the model raises before it sends, its successors wait for ever."""
    broken = changed(NET, "lif1", du=10**30)
    before = time.monotonic()
    with pytest.raises(BackendError) as caught:
        LavaBackend().stream(broken, events(NET))
    assert time.monotonic() - before < 60
    assert caught.value.code == "SFX-E506"
    assert caught.value.problems[0].where == "lif1"
    assert list(folder.iterdir()) == []


def test_exception_after_a_model_has_sent_names_it_too(folder: Path) -> None:
    """A connection sends first: then Lava does notice, but says only that something failed."""
    first = replace(NET.projections[0], weight_exp=10**30)
    broken = replace(NET, projections=(first, *NET.projections[1:]))
    with pytest.raises(BackendError) as caught:
        LavaBackend().stream(broken, events(NET))
    assert caught.value.code == "SFX-E506"
    assert caught.value.problems[0].where == first.name
    assert "run_spk" in str(caught.value), "the line that failed"
    assert list(folder.iterdir()) == []


def test_exception_while_a_model_is_built_names_the_process(folder: Path) -> None:
    broken = changed(NET, "lif0", bias_exp=10**30)  # no integer of any Var
    with pytest.raises(BackendError) as caught:
        LavaBackend().stream(broken, events(NET))
    assert caught.value.code == "SFX-E506"
    assert caught.value.problems[0].where == "lif0"
    assert list(folder.iterdir()) == []


def test_exception_in_the_callback_leaves_nothing(folder: Path) -> None:
    witness = Witness()

    def callback(done: int, total: int) -> None:
        witness(done, total)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LavaBackend().stream(NET, events(NET, 400), progress=callback)
    witness.assert_all_gone()
    assert list(folder.iterdir()) == []


def test_a_run_that_takes_too_long_is_ended(folder: Path) -> None:
    with pytest.raises(BackendError) as caught:
        LavaBackend(patience=Patience(overall=0.3)).stream(NET, events(NET))
    assert caught.value.code == "SFX-E508"
    assert "0.3 s" in str(caught.value)
    assert list(folder.iterdir()) == []


def test_a_run_that_hangs_is_ended(folder: Path) -> None:
    witness = Witness()

    def stop_one(done: int, total: int) -> None:
        if not witness.session:
            witness(done, total)
            for pid in witness.members:
                if pid != witness.session:
                    os.kill(pid, signal.SIGSTOP)

    with pytest.raises(BackendError) as caught:
        LavaBackend(patience=Patience(stall=2.0)).stream(NET, events(NET, 400), progress=stop_one)
    assert caught.value.code == "SFX-E507"
    assert "running" in str(caught.value)
    witness.assert_all_gone()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("victim", ["worker", "model"])
def test_a_killed_process_is_noticed(victim: str, number: signal.Signals, folder: Path) -> None:
    witness = Witness()

    def kill_one(done: int, total: int) -> None:
        if not witness.session:
            witness(done, total)
            # the last forked is the runtime service, the ones before it are models
            pid = witness.session if victim == "worker" else sorted(witness.members)[-2]
            os.kill(pid, number)

    with pytest.raises(BackendError) as caught:
        LavaBackend().stream(NET, events(NET, 400), progress=kill_one)
    if victim == "worker":
        assert caught.value.code == "SFX-E509"
        assert number.name in str(caught.value)
    else:
        assert caught.value.code == "SFX-E506"
        assert f"status -{number}" in str(caught.value)
    witness.assert_all_gone()
    assert list(folder.iterdir()) == []


SCRIPT = """
import json, os, sys
from sfx.backends.lava import group
from sfx.backends.lava.backend import LavaBackend
from tests.unit.lava.nets import chain, events
from tests.unit.lava.test_exits import Witness

net, witness = chain(2), Witness()

def tell(done, total):
    if not witness.session:
        witness(done, total)
        facts = [witness.session, witness.members, sorted(map(str, witness.segments))]
        print(json.dumps(facts), flush=True)

LavaBackend().stream(net, events(net, 4000), progress=tell)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_to_the_parent_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """SIGKILL too: then the worker notices that its parent is gone."""
    parent = _start(tmp_path)
    try:
        assert parent.stdout is not None
        with parent.stdout:
            session, members, segments = json.loads(parent.stdout.readline())
        witness = Witness(session, members, set(map(Path, segments)))
        parent.send_signal(number)
        status = parent.wait(30)
    finally:
        parent.kill()
        parent.wait()
    expected = {signal.SIGINT: -signal.SIGINT, signal.SIGKILL: -signal.SIGKILL}
    assert status == expected.get(number, 128 + number)
    _wait_until_empty(tmp_path)
    witness.assert_all_gone()


def test_a_parent_killed_while_lava_starts_leaves_nothing(tmp_path: Path) -> None:
    with _start(tmp_path) as parent:
        try:
            worker = _wait_for_worker(parent.pid)
            while len(group.members(worker)) < 4:  # Lava forks: it starts
                time.sleep(0.01)
        finally:
            parent.kill()
    _wait_until_empty(tmp_path)
    deadline = time.monotonic() + 20  # the worker removes its files first and itself last
    while group.members(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert group.members(worker) == []


def _wait_for_worker(parent: int) -> int:
    while True:
        for child in psutil.Process(parent).children():
            if "sfx.backends.lava.worker" in child.cmdline():
                return child.pid
        time.sleep(0.01)


def _start(tmp_path: Path) -> subprocess.Popen[bytes]:
    paths = os.pathsep.join([str(Path(sfx.__file__).resolve().parents[1]), str(ROOT)])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _wait_until_empty(path: Path) -> None:
    deadline = time.monotonic() + 20
    while list(path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(path.iterdir()) == []


LOST = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from sfx.backends.lava import group, worker

calls = Path(sys.argv[1]) / "calls"

def slow(session, *, spare=None):
    calls.write_text(calls.read_text() + "." if calls.exists() else ".")
    time.sleep(3 * worker.PARENT_SECONDS)

group.end = slow
worker._follow(-1, SimpleNamespace(path=Path(sys.argv[1]) / "job"))
time.sleep(60)
"""


def test_a_slow_clean_up_is_not_begun_again(tmp_path: Path) -> None:
    """On a busy machine it takes longer than the time between two looks at the parent."""
    (tmp_path / "job").mkdir()
    done = subprocess.run([sys.executable, "-c", LOST, str(tmp_path)], timeout=60)
    assert done.returncode == 1
    assert (tmp_path / "calls").read_text() == "."
    assert not (tmp_path / "job").exists()


KILLED_WHILE_ENDING = """
import json, os, signal, sys
from sfx.backends.lava import group, runtime
from tests.unit.lava import test_exits
from tests.unit.lava.nets import chain, events

step = int(sys.argv[1])
net, witness = chain(2), test_exits.Witness()
calls = {"signal": group._signal, "segments": group.segments, "rmtree": runtime.shutil.rmtree}
count = 0

def dies(call):
    def counted(*arguments, **options):
        global count
        count += witness.session != 0
        if count == step:
            facts = [witness.session, witness.members, sorted(map(str, witness.segments))]
            print(json.dumps(facts), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **options)
    return counted

from sfx.backends.lava.backend import LavaBackend
def tell(done, total):
    if not witness.session:
        witness(done, total)
        group._signal = dies(calls["signal"])
        group.segments = dies(calls["segments"])
        runtime.shutil.rmtree = dies(calls["rmtree"])

LavaBackend().stream(net, events(net, 20), progress=tell)
"""


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_parent_killed_while_it_cleans_up_leaves_nothing(step: int, tmp_path: Path) -> None:
    """Before it stops the others, before it looks for segments, before it kills, before it
    removes the files: the worker does the rest."""
    paths = os.pathsep.join([str(Path(sfx.__file__).resolve().parents[1]), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_ENDING, str(step)],
        env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    session, members, segments = json.loads(done.stdout)
    witness = Witness(session, members, set(map(Path, segments)))
    _wait_until_empty(tmp_path)
    deadline = time.monotonic() + 20
    while group.members(session) and time.monotonic() < deadline:
        time.sleep(0.05)
    witness.assert_all_gone()
