"""Binning of events: a naive loop, preserved totals, saturation, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.frontends.events.events import Events, bin_events
from sfx.toolchain.ground.errors import InputError

HEIGHT, WIDTH = 3, 5


def make(rows: list[tuple[int, int, int, int]]) -> Events:
    x, y, p, t = (np.array(column, dtype=np.int64) for column in np.array(rows).reshape(-1, 4).T)
    return Events(x, y, p, t)


ROWS = st.lists(
    st.tuples(
        st.integers(0, WIDTH - 1),
        st.integers(0, HEIGHT - 1),
        st.integers(0, 1),
        st.integers(0, 999),
    ),
    max_size=40,
)


@given(ROWS, st.integers(1, 9), st.integers(1000, 1500))
def test_binning_is_the_naive_loop(
    rows: list[tuple[int, int, int, int]], steps: int, duration: int
) -> None:
    expected = np.zeros((steps, 2, HEIGHT, WIDTH), np.uint8)
    for x, y, p, t in rows:
        step = next(s for s in range(steps) if s * duration <= t * steps < (s + 1) * duration)
        expected[step, p, y, x] += 1
    binned = bin_events(make(rows), steps, (HEIGHT, WIDTH), duration)
    assert binned.dtype == np.uint8
    np.testing.assert_array_equal(binned, expected)
    assert binned.sum() == len(rows)


def test_the_recordings_own_duration_ends_after_its_last_event() -> None:
    binned = bin_events(make([(0, 0, 1, 0), (4, 2, 0, 99)]), 4, (HEIGHT, WIDTH))
    assert binned.sum() == 2
    assert binned[0, 1, 0, 0] == 1
    assert binned[3, 0, 2, 4] == 1


def test_counts_saturate() -> None:
    binned = bin_events(make([(1, 1, 1, 0)] * 300 + [(2, 1, 1, 0)] * 255), 1, (HEIGHT, WIDTH))
    assert binned[0, 1, 1].tolist() == [0, 255, 255, 0, 0]


def test_an_empty_recording_has_no_counts() -> None:
    binned = bin_events(make([]), 2, (HEIGHT, WIDTH))
    assert binned.shape == (2, 2, HEIGHT, WIDTH)
    assert not binned.any()


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ((WIDTH, 0, 0, 0), "x"),
        ((-1, 0, 0, 0), "x"),
        ((0, HEIGHT, 0, 0), "y"),
        ((0, 0, 2, 0), "p"),
        ((0, 0, 0, 100), "t"),
    ],
)
def test_an_event_outside_is_refused(row: tuple[int, int, int, int], name: str) -> None:
    with pytest.raises(InputError, match=f"1 events have {name} outside") as raised:
        bin_events(make([(0, 0, 0, 0), row]), 2, (HEIGHT, WIDTH), duration=100)
    assert raised.value.code == "SFX-E131"
    assert raised.value.problems[0].where == "event 1"


@pytest.mark.parametrize(("steps", "duration"), [(0, 10), (1, 0)])
def test_no_steps_or_no_time_is_refused(steps: int, duration: int) -> None:
    with pytest.raises(InputError) as raised:
        bin_events(make([]), steps, (HEIGHT, WIDTH), duration)
    assert raised.value.code == "SFX-E132"
