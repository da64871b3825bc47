"""Other people's readers and writers beside ours, where they are installed: every event compared.

faery (LGPL-3.0), event_stream (GPL-3.0) and aedat (MIT) are only run here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sfx.frontends.events.events import Events
from sfx.frontends.events.formats import read_recording
from tests.unit.events import files

WHY = "an independent witness: pip install aedat event_stream faery"
COUNT = 20_000


def recording() -> dict[str, np.ndarray]:
    """Events all over 640x480 with bursts and gaps, in the order of their times."""
    rng = np.random.default_rng(7)
    gaps = np.where(
        rng.random(COUNT) < 0.01, rng.integers(0, 60_000, COUNT), rng.integers(0, 4, COUNT)
    )
    x, y, p = (rng.integers(0, n, COUNT) for n in (640, 480, 2))
    return {"x": x, "y": y, "p": p, "t": np.cumsum(gaps) + 5}


def assert_equal(found: Events, expected: dict[str, Any]) -> None:
    for name in "xyp":
        np.testing.assert_array_equal(getattr(found, name), expected[name].astype(np.int64))
    t = expected["t"].astype(np.int64)
    np.testing.assert_array_equal(found.t, t - t[0])
    assert len(found) == COUNT


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.dat", {}),
        ("a.raw", {"version": "evt2"}),
        ("a.raw", {"version": "evt3"}),
        ("a.es", {}),
        ("a.aedat4", {"compression": None}),
        ("a.aedat4", {"compression": ("lz4", 1)}),
        ("a.aedat4", {"compression": ("zstd", 1)}),
    ],
)
def test_faery_writes_what_is_read(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    faery = pytest.importorskip("faery", reason=WHY)
    if options.get("compression"):
        pytest.importorskip("lz4.frame", reason="of the extra `events`")
        pytest.importorskip("zstandard", reason="of the extra `events`")
    expected = recording()
    array = np.zeros(COUNT, faery.EVENTS_DTYPE)
    for column in "xypt":
        array[column] = expected[column]
    stream = faery.events_stream_from_array(array, dimensions=(640, 480))
    stream.to_file(tmp_path / name, **options)
    found = read_recording(tmp_path / name)
    if name == "a.es":  # faery counts rows from above and turns them for this format
        expected["y"] = 479 - expected["y"]
    assert_equal(found.events, expected)
    assert found.sensor in (None, (480, 640))


def test_event_stream_writes_what_is_read(tmp_path: Path) -> None:
    package = pytest.importorskip("event_stream", reason=WHY)
    expected = recording()
    array = np.zeros(COUNT, package.dvs_dtype)
    for column, name in zip("xypt", ("x", "y", "on", "t"), strict=True):
        array[name] = expected[column]
    with package.Encoder(str(tmp_path / "a.es"), "dvs", 640, 480) as encoder:
        encoder.write(array)
    found = read_recording(tmp_path / "a.es")
    assert_equal(found.events, expected)
    assert found.sensor == (480, 640)


def test_aedat_reads_what_is_read(tmp_path: Path) -> None:
    package = pytest.importorskip("aedat", reason=WHY)
    expected = recording()
    rows = list(zip(*(expected[n].tolist() for n in "xypt"), strict=True))
    packets = [(0, files.event_packet(rows[i : i + 700])) for i in range(0, COUNT, 700)]
    (tmp_path / "a.aedat4").write_bytes(files.aedat4(packets))
    parts = [p["events"] for p in package.Decoder(tmp_path / "a.aedat4") if "events" in p]
    theirs = np.concatenate(parts)
    found = read_recording(tmp_path / "a.aedat4")
    assert_equal(found.events, {n: theirs["on" if n == "p" else n] for n in "xypt"})
    assert found.sensor == (260, 346)
