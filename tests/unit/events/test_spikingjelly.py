"""SpikingJelly's frames: its own functions, a loop in its words, and the real recordings."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sfx.frontends.events.events import Events, count_events
from sfx.frontends.events.spikingjelly import NUMBER, RULES, TIME, framed
from tests.unit.events.others import imported

SIZE = (3, 4)
Rows = list[tuple[int, int, int, int]]


def ours(events: Events, frames: int, rule: str, size: tuple[int, int]) -> NDArray[np.int64]:
    return count_events(framed(events, frames, rule), frames, size, frames)


def rows_of(low: int, high: int, most: int = 40) -> st.SearchStrategy[Rows]:
    pixel = (st.integers(0, SIZE[1] - 1), st.integers(0, SIZE[0] - 1), st.integers(0, 1))
    return st.lists(st.tuples(*pixel, st.integers(low, high)), min_size=1, max_size=most)


@given(rows_of(0, 60), st.integers(1, 9), st.sampled_from(RULES))
def test_its_own_functions_give_the_same_cells(rows: Rows, frames: int, rule: str) -> None:
    """Also where times run backwards; it has no answer where a window holds no event."""
    datasets = imported("spikingjelly.datasets")
    x, y, p, t = np.array(rows, np.int64).T
    events = {"t": t, "x": x, "y": y, "p": p}
    by = rule.removeprefix("spikingjelly-")
    got = ours(Events(x, y, p, t), frames, rule, SIZE)
    try:
        theirs = datasets.integrate_events_by_fixed_frames_number(events, by, frames, *SIZE)
    except IndexError:
        assert rule == TIME
        return
    np.testing.assert_array_equal(got, theirs)


@pytest.mark.needs_data
@pytest.mark.parametrize("rule", RULES)
def test_real_recordings(data_dir: Path, rule: str) -> None:
    datasets = imported("spikingjelly.datasets")
    with np.load(data_dir / "nmnist_small.npz") as file:
        rows, offsets = file["events"].astype(np.int64), file["offsets"][:31]
    compared = full = 0
    for start, end in pairwise(offsets):
        x, y, p, t = rows[start:end].T
        events = {"t": t, "x": x, "y": y, "p": p}
        by = rule.removeprefix("spikingjelly-")
        theirs = datasets.integrate_events_by_fixed_frames_number(events, by, 10, 34, 34)
        got = ours(Events(x, y, p, t), 10, rule, (34, 34))
        np.testing.assert_array_equal(got, theirs)
        assert got.sum() == end - start
        compared += got.size
        full += int((got > 0).sum())
    assert compared == 30 * 10 * 2 * 34 * 34
    assert full > 50_000


def test_the_last_frame_takes_the_rest() -> None:
    """Ten events in four frames are 2, 2, 2 and 4; by time of 0..9 windows are 2 long."""
    t = np.arange(10)
    zero = np.zeros(10, np.int64)
    for rule in RULES:
        cells = ours(Events(zero, zero, zero, t), 4, rule, (1, 1))
        assert cells.sum((1, 2, 3)).tolist() == [2, 2, 2, 4]


@pytest.mark.parametrize(
    ("times", "frames", "expected"),
    [
        ([0, 1, 2, 100, 101], 4, [3, 0, 0, 2]),  # SpikingJelly raises IndexError
        ([5, 6], 4, [0, 0, 0, 2]),  # shorter than four windows of a microsecond
        ([7], 3, [0, 0, 0 + 1]),
        ([], 3, [0, 0, 0]),
    ],
)
def test_windows_without_an_event_are_empty(
    times: list[int], frames: int, expected: list[int]
) -> None:
    t = np.array(times, np.int64)
    zero = np.zeros(len(t), np.int64)
    for rule in (TIME, NUMBER) if not times else (TIME,):
        cells = ours(Events(zero, zero, zero, t), frames, rule, (1, 1))
        assert cells.sum((1, 2, 3)).tolist() == expected


@given(rows_of(0, 200), st.integers(1, 9))
def test_times_in_order_are_each_counted_once(rows: Rows, frames: int) -> None:
    x, y, p, t = np.array(sorted(rows, key=lambda r: r[3]), np.int64).T
    for rule in RULES:
        assert ours(Events(x, y, p, t), frames, rule, SIZE).sum() == len(rows)
