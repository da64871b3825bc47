"""Several threads at once get the bytes that one gets: export, compile, run, verify, write."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import sfx
from sfx.toolchain.app import api
from sfx.toolchain.data import Data
from sfx.toolchain.formats.bundle import bundle as bundles
from sfx.toolchain.ground import files
from tests.strategies import random_events, random_program
from tests.unit.netx.files import live_conv_net, write

torch = pytest.importorskip("torch")
from sfx.frontends.neurons.multistep import lif  # noqa: E402  # it needs torch

pytestmark = pytest.mark.needs_torch
THREADS = 4
Job = Callable[[Path], bytes]


class Net(torch.nn.Module):
    """Small; another one for each seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.fc, self.spikes = torch.nn.Linear(3, 3 + seed), lif()
        self.fc.weight.data.abs_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Spikes of every step."""
        return self.spikes(self.fc(x))


def jobs(folder: Path) -> list[Job]:
    """What the threads do, each with a folder of its own for the files it writes."""
    net = write(folder / "m.net", live_conv_net())
    programs = [random_program(s, populations=4) for s in (3, 5)]
    # enough samples that numba's kernels are on several cores
    events = [random_events(p, 400) for p in programs]
    x = np.ones((4, 6, 3), np.uint8)
    models = [Net(0), Net(1)]

    def compiled(source: object, into: Path, **options: object) -> bytes:
        bundles.write(api.compile(source, **options), into / "m.sfx")  # type: ignore[arg-type]
        return (into / "m.sfx").read_bytes()

    def exported(i: int, into: Path) -> bytes:
        graph = sfx.export(models[i], torch.zeros(6, 1, 3))
        return compiled(graph, into, calibrate=Data(x, None))

    def ran(i: int) -> bytes:
        result = api.run(programs[i], Data(events[i], None))
        return result.sums.tobytes() + b"".join(c.tobytes() for c in result.counts.events.values())

    def verified(i: int) -> bytes:
        verdict = api.verify(programs[i], events[i][:3], against="onnx", states=True)
        assert verdict.equal
        return repr(verdict.as_dict()).encode()

    def onnx(i: int, into: Path) -> bytes:
        api.export_onnx(programs[i], into / "m.onnx")
        return (into / "m.onnx").read_bytes()

    return [
        lambda into: compiled(net, into),
        *(lambda into, i=i: exported(i, into) for i in (0, 1)),
        *(lambda into, i=i: ran(i) for i in (0, 1)),
        *(lambda into, i=i: verified(i) for i in (0, 1)),
        *(lambda into, i=i: onnx(i, into) for i in (0, 1)),
    ]  # type: ignore[misc]  # lambdas with a default


def test_four_threads_get_what_one_gets(tmp_path: Path) -> None:
    """Threads change places often, and each does the jobs in an order of its own."""
    todo = jobs(tmp_path)
    alone = [hashlib.sha256(job(tmp_path)).hexdigest() for job in todo]
    assert len(set(alone)) == len(alone)
    start = threading.Barrier(THREADS)

    def work(thread: int) -> dict[int, str]:
        into = tmp_path / str(thread)
        into.mkdir()
        order = [(i + 2 * thread) % len(todo) for i in range(len(todo))]
        start.wait(30)
        return {i: hashlib.sha256(todo[i](into)).hexdigest() for i in order}

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            for got in pool.map(work, range(THREADS)):
                assert [got[i] for i in range(len(todo))] == alone
    finally:
        sys.setswitchinterval(before)


def test_drafts_with_a_name_leave_the_mask_of_new_files_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the process's: a thread that sets it, to see it, sets it for the others."""
    monkeypatch.setattr(files, "_unnamed", lambda path: None)
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the mask was set"))
    files.atomic_write(tmp_path / "f", b"x")
    (tmp_path / "g").touch()
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "g").stat().st_mode
    assert sorted(os.listdir(tmp_path)) == ["f", "g"]
