"""N-MNIST files in their exact byte format, and the real recordings through the same types."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.frontends.events.atis import NMNIST as SIZE
from sfx.frontends.events.atis import read_ncaltech101, read_nmnist
from sfx.frontends.events.events import Events, bin_events
from sfx.toolchain.ground.errors import InputError
from tests.unit.events.files import Row, atis


def decoded(events: Events) -> list[Row]:
    columns = (events.x.tolist(), events.y.tolist(), events.p.tolist(), events.t.tolist())
    return list(zip(*columns, strict=True))


@given(
    st.lists(
        st.tuples(
            st.integers(0, 33), st.integers(0, 33), st.integers(0, 1), st.integers(0, 2**23 - 1)
        ),
        min_size=1,
        max_size=30,
    )
)
def test_a_file_reads_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Row]) -> None:
    rows = sorted(rows, key=lambda row: row[3])
    file = tmp_path_factory.mktemp("nmnist") / "00001.bin"
    file.write_bytes(atis(rows))
    assert decoded(read_nmnist(file)) == rows


def test_bytes_by_hand(tmp_path: Path) -> None:
    """x = 10, y = 30, ON, t = 937; x = 33, y = 0, OFF, t = 0x7FFFFF, the largest."""
    file = tmp_path / "00002.bin"
    file.write_bytes(bytes([10, 30, 0x80, 0x03, 0xA9, 33, 0, 0x7F, 0xFF, 0xFF]))
    assert decoded(read_nmnist(file)) == [(10, 30, 1, 937), (33, 0, 0, 8388607)]


def test_an_overflow_mark_moves_later_times(tmp_path: Path) -> None:
    file = tmp_path / "overflow.bin"
    file.write_bytes(
        atis([(1, 2, 1, 100), (0, 240, 0, 0), (3, 4, 0, 5), (0, 240, 0, 0), (5, 6, 1, 7)])
    )
    assert decoded(read_nmnist(file)) == [(1, 2, 1, 100), (3, 4, 0, 8197), (5, 6, 1, 16391)]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (atis([(1, 2, 0, 3)])[:-1], "4 bytes"),
        (atis([(1, 2, 0, 3), (34, 2, 0, 4)]), "x = 34, y = 2, outside 34x34"),
        (atis([(1, 34, 0, 3)]), "x = 1, y = 34, outside 34x34"),
        (atis([(1, 2, 0, 3), (1, 2, 0, 2)]), "event 1 is at 2 us, after one at 3 us"),
    ],
    ids=["empty", "truncated", "column", "row", "backwards"],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "wrong.bin"
    file.write_bytes(content)
    with pytest.raises(InputError, match=reason) as raised:
        read_nmnist(file)
    assert raised.value.code == "SFX-E130"
    assert raised.value.problems[0].where == str(file)


def test_ncaltech101_has_the_same_format_and_more_pixels(tmp_path: Path) -> None:
    file = tmp_path / "image_0001.bin"
    file.write_bytes(atis([(239, 179, 1, 3), (0, 240, 0, 0), (7, 8, 0, 9)]))
    assert decoded(read_ncaltech101(file)) == [(239, 179, 1, 3), (7, 8, 0, 8201)]
    file.write_bytes(atis([(239, 180, 1, 3)]))
    with pytest.raises(InputError, match="x = 239, y = 180, outside 240x180"):
        read_ncaltech101(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read") as raised:
        read_nmnist(tmp_path / "none.bin")
    assert raised.value.code == "SFX-E130"


@pytest.mark.needs_data
def test_the_shared_recordings(data_dir: Path, tmp_path: Path) -> None:
    """1100 recordings as `events` [N, 4] = x, y, polarity, t with `offsets` [1101] and `labels`."""
    with np.load(data_dir / "nmnist_small.npz") as file:
        rows, offsets, labels = file["events"].astype(np.int64), file["offsets"], file["labels"]
    assert labels.shape == (1100,)
    assert set(labels.tolist()) == set(range(10))
    assert offsets[0] == 0
    assert offsets[-1] == len(rows)
    assert rows.max(axis=0).tolist() == [33, 33, 1, 336_040]  # so 34x34, both polarities

    for start, end in pairwise(offsets[:41]):
        x, y, p, t = rows[start:end].T
        binned = bin_events(Events(x, y, p, t), 10, SIZE, duration=336_041)
        assert binned.max() < 255
        assert binned.sum() == end - start
        assert binned[:, 1].sum() == p.sum()

    first = [tuple(row) for row in rows[: offsets[1]].tolist()]
    path = tmp_path / "first.bin"
    path.write_bytes(atis(first))
    assert decoded(read_nmnist(path)) == first
