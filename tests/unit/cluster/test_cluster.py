"""Samples spread with Dask: the same results, dead workers, and parts that fail for good."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sfx.backends.base import Result
from sfx.backends.reference.backend import ReferenceBackend
from sfx.toolchain.app import api
from sfx.toolchain.data import Data
from sfx.toolchain.ground.errors import BackendError, InputError
from sfx.toolchain.ir.program import Program
from tests.strategies import random_events, random_program

distributed = pytest.importorskip("distributed")
from sfx.toolchain.app.cluster import pool as cluster  # noqa: E402  # they need the module above
from sfx.toolchain.app.cluster import start as cluster_start  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of Dask's own shutdown


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler with two workers in this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as made:
        yield made.scheduler_address


def case(samples: int = 7) -> tuple[Program, np.ndarray]:
    program = random_program(3, populations=5)
    return program, random_events(program, samples, 3)


def same(want: Result, got: Result) -> None:
    assert np.array_equal(want.sums, got.sums)
    for kind in ("events", "active"):
        a, b = getattr(want.counts, kind), getattr(got.counts, kind)
        assert list(a) == list(b)
        assert all(np.array_equal(a[n], b[n]) for n in a)
    assert want.counts.samples == got.counts.samples


@pytest.mark.parametrize("part", [1, 3, None])
def test_same_sums_and_counts(address: str, part: int | None) -> None:
    program, x = case()
    seen: list[tuple[int, int]] = []
    got = cluster.run(
        program, x, ReferenceBackend, scheduler=address, part=part,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    same(ReferenceBackend().run(program, x), got)
    assert seen[-1] == (7, 7)


def test_through_the_api(address: str) -> None:
    program, x = case()
    got = api.run(program, Data(x, None), engine="dask", scheduler=address)
    same(ReferenceBackend().run(program, x), got)
    assert got.backend == "fast on Dask"


def test_engines_that_do_not_exist(address: str) -> None:
    program, x = case(1)
    with pytest.raises(InputError, match="SFX-E631"):
        api.run(program, Data(x, None), engine="spark")
    with pytest.raises(InputError, match="SFX-E631"):
        api.run(program, Data(x, None), scheduler=address)


class Fails(ReferenceBackend):
    """Fails for every part that holds a marked sample."""

    def run(self, program: Program, x: np.ndarray, **options: object) -> Result:  # type: ignore[override]  # options as they come
        if (x == 0).all(axis=tuple(range(1, x.ndim))).any():
            raise MemoryError("no room")
        return super().run(program, x)


def test_a_part_that_fails_for_good_is_named(address: str) -> None:
    program, x = case()
    x[4] = 0
    with pytest.raises(BackendError, match=r"SFX-E652.*samples 4\.\.5 failed on 3 tries.*no room"):
        cluster.run(program, x, Fails, scheduler=address, part=2)


class Dies(ReferenceBackend):
    """Takes its whole process away, once."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def run(self, program: Program, x: np.ndarray, **options: object) -> Result:  # type: ignore[override]  # options as they come
        if not self.mark.exists():
            self.mark.touch()
            os._exit(1)
        return super().run(program, x)


def test_a_dead_worker_s_samples_run_again(tmp_path: Path) -> None:
    program, x = case()
    mark = tmp_path / "died"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as made:
        make = functools.partial(Dies, mark)
        got = cluster.run(program, x, make, scheduler=made.scheduler_address, part=2)
    assert mark.exists()
    same(ReferenceBackend().run(program, x), got)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    program, x = case(1)
    monkeypatch.setattr(cluster_start, "CONNECT_S", 0.5)
    with pytest.raises(BackendError, match="SFX-E651"):
        cluster.run(program, x, ReferenceBackend, scheduler="tcp://127.0.0.1:9")
