"""Samples spread over processes or machines with Dask: the same sums and counts, merged.

The Program travels once to each worker; samples travel in parts. A part whose worker dies runs
again elsewhere; one that fails for good is reported with its samples. Each side unpickles what the
other one sends, so it can have it run code: `cluster_start` says who gets in.
"""

from __future__ import annotations

import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ....backends.base import Counts, Progress, Result
from ...ground.arith import IntArray
from ...ground.errors import BackendError, SfxError
from ...ir.program import Program
from .start import Tls, client_of

if TYPE_CHECKING:
    from distributed import Client

PART = 64
"""Most samples of a part: a part that is lost costs no more than this."""
RETRIES = 2
"""Times that a part runs again after it failed; deaths of workers have Dask's own limit."""
Make = Callable[[], Any]
"""Makes the backend on the worker."""


class _Summed(Mapping[str, IntArray]):
    """The sum of the parts' arrays, made when asked for."""

    def __init__(self, parts: list[Mapping[str, IntArray]]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> IntArray:
        total = self._parts[0][name].copy()
        for part in self._parts[1:]:
            total += part[name]
        return total

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts[0])

    def __len__(self) -> int:
        return len(self._parts[0])


_MADE: dict[bytes, Any] = {}


def _run_part(program: Program, make: Make, x: IntArray) -> Result:
    """On a worker: one part. The backend stays, with the Program readied."""
    key = pickle.dumps(make)
    if key not in _MADE:
        _MADE[key] = make()
    result: Result = _MADE[key].run(program, x)
    return result


def run(
    program: Program,
    x: IntArray,
    make: Make,
    *,
    scheduler: str | None = None,
    tls: Tls | None = None,
    part: int | None = None,
    progress: Progress | None = None,
) -> Result:
    """`make().run(program, x)` in parts on a cluster; same sums, counts and predictions.

    x [K, T, *input shape]. make: an importable function without arguments. part: samples of a part.
    Raises BackendError (SFX-E652) naming the samples that failed, and as `client_of`.
    """
    start = time.perf_counter()
    with client_of(scheduler, tls) as client:
        workers = max(1, len(client.scheduler_info()["workers"]))
        size = part or max(1, min(PART, -(-len(x) // (2 * workers))))
        parts = [slice(i, min(i + size, len(x))) for i in range(0, len(x), size)]
        results = _collect(client, program, x, make, parts, progress)
    counts = Counts(
        len(x),
        _Summed([r.counts.events for r in results]),
        _Summed([r.counts.active for r in results]),
    )
    name = f"{results[0].backend} on Dask"
    sums = np.concatenate([r.sums for r in results])
    left: Counter[str] = Counter()
    for r in results:
        left.update(r.left)
    return Result(name, sums, counts, time.perf_counter() - start, dict(left))


def _collect(
    client: Client,
    program: Program,
    x: IntArray,
    make: Make,
    parts: list[slice],
    progress: Progress | None,
) -> list[Result]:
    """The results in order of the parts, as they come."""
    from distributed import as_completed

    shared = client.scatter(program, broadcast=True, hash=False)
    futures = {
        client.submit(_run_part, shared, make, x[p], pure=False, retries=RETRIES): i
        for i, p in enumerate(parts)
    }
    results: dict[int, Result] = {}
    failed: dict[int, BaseException] = {}
    done = 0
    for future in as_completed(futures, loop=client.loop):
        i = futures[future]
        error = future.exception()
        if error is None:
            results[i] = future.result()
        else:
            failed[i] = error
        done += parts[i].stop - parts[i].start
        if progress is not None:
            progress(done, len(x))
    if failed:
        raise _failure(parts, failed)
    return [results[i] for i in range(len(parts))]


def _failure(parts: list[slice], failed: dict[int, BaseException]) -> SfxError:
    which = ", ".join(f"{parts[i].start}..{parts[i].stop - 1}" for i in sorted(failed))
    first = failed[min(failed)]
    if isinstance(first, SfxError):
        return first
    return BackendError(
        "SFX-E652",
        f"samples {which} failed on {RETRIES + 1} tries: {type(first).__name__}: {first}",
        hint="the other samples finished; run these alone with the reference to see why",
    )
