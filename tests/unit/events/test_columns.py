"""One's own recordings in columns: every way to write them gives the same events."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.frontends.events.events import Events
from sfx.frontends.events.formats import read_recording
from sfx.toolchain.ground.errors import InputError
from tests.unit.events.files import Row, npy, npz, structured

ROWS: list[Row] = [(3, 0, 1, 5000), (0, 7, 0, 5250), (65535, 2, 1, 5250), (1, 1, 0, 9000)]


def decoded(events: Events) -> list[Row]:
    columns = (events.x.tolist(), events.y.tolist(), events.p.tolist(), events.t.tolist())
    return list(zip(*columns, strict=True))


def expected(rows: list[Row]) -> list[Row]:
    first = min((row[3] for row in rows), default=0)
    return [(x, y, p, t - first) for x, y, p, t in rows]


x, y, p, t = (np.array(c) for c in zip(*ROWS, strict=True))
WAYS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "named": (".csv", b"t,x,y,p\n" + b"".join(b"%d,%d,%d,%d\n" % (r[3], *r[:3]) for r in ROWS), {}),
    "other names": (
        ".csv",
        b"# camera 3\nTimestamp;Column;row;Polarity\n"
        + b"".join(b"%d;%d;%d;%d\n" % (r[3], r[0], r[1], 2 * r[2] - 1) for r in ROWS),
        {},
    ),
    "plain": (".txt", b"".join(b"%d %d %d %d\n" % (r[0], r[1], r[3], r[2]) for r in ROWS), {}),
    "seconds": (
        ".txt",
        b"".join(b"%.6f %d %d %d\n" % (r[3] / 1e6, *r[:3]) for r in ROWS),
        {"unit": "s", "order": "txyp"},
    ),
    "numbers": (".npy", npy(np.stack([x, y, t, p], 1)), {}),
    "floats": (".npy", npy(np.stack([t * 1000.0, x, y, p], 1)), {"unit": "ns", "order": "txyp"}),
    "spikingjelly": (".npz", npz(t=t.astype(np.uint32), x=x, y=y, p=p.astype(bool)), {}),
    "one array": (".npz", npz(events=np.stack([x, y, t, p], 1)), {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_events(tmp_path: Path, way: str) -> None:
    suffix, content, options = WAYS[way]
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    found = read_recording(file, **options)
    assert decoded(found.events) == expected(ROWS)
    assert found.sensor is None


ROW = st.tuples(
    st.integers(0, 2000), st.integers(0, 2000), st.integers(0, 1), st.integers(0, 2**45)
)


@given(st.lists(ROW, min_size=1, max_size=20))
def test_structured_arrays_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    folder = tmp_path_factory.mktemp("npy")
    for name, content in (("a.npy", npy(structured(rows))), ("a.npz", npz(a=structured(rows)))):
        (folder / name).write_bytes(content)
        assert decoded(read_recording(folder / name).events) == expected(rows)


def test_an_empty_file_has_no_events(tmp_path: Path) -> None:
    for name, content in (("a.csv", b"x,y,t,p\n"), ("a.npy", npy(np.zeros((0, 4))))):
        (tmp_path / name).write_bytes(content)
        assert len(read_recording(tmp_path / name).events) == 0


@pytest.mark.parametrize(
    ("suffix", "content", "reason"),
    [
        (".csv", b"x,y,t\n1,2,3\n", "has the columns x, y, t"),
        (".csv", b"1,2,3\n", r"has numbers \[1, 3\]"),
        (".csv", b"x,y,t,p\n1,2,3,ON\n", "has a line that is not numbers"),
        (".csv", b"x,y,t,p\n1,2,3\n", r"has numbers \[1, 3\]"),
        (".csv", b"1,2,3,1\n1,-2,3,1\n", "event 1 has y = -2"),
        (".csv", b"1,2,3,2\n", "event 0 has p = 2"),
        (".csv", b"1,2,3,-1\n1,2,3,0\n", "event 1 has p = 0"),
        (".csv", b"1.5,2,3,1\n", "has fractions in x"),
        (".csv", b"1,2,nan,1\n", "has t that is no number"),
        (".csv", b"1,2,0,1\n1,2,99999999999999,1\n", "more than two years"),
        (".csv", b"\xff\xfe1", "is not text"),
        (".npy", npy(np.zeros((2, 3))), r"has numbers \[2, 3\]"),
        (".npy", npy(np.zeros(3, [("x", "i4"), ("t", "i4")])), "has the fields x, t"),
        (".npy", npy(np.zeros(3, [("x", "S4"), ("t", "i4")])), "numbers are needed"),
        (".npy", b"\x93NUMPY", "no npy header"),
        (".npz", npz(x=x, y=y, t=t), "has the arrays x, y, t"),
        (".npz", npz(x=x, y=y, t=t, p=p[:2]), r"has columns x \[4\], y \[4\], t \[4\], p \[2\]"),
        (".npz", b"PK", "cannot be read"),
    ],
)
def test_what_is_no_recording_is_refused(
    tmp_path: Path, suffix: str, content: bytes, reason: str
) -> None:
    file = tmp_path / f"a{suffix}"
    file.write_bytes(content)
    with pytest.raises(InputError, match=reason) as raised:
        read_recording(file)
    assert raised.value.code == "SFX-E140"
    assert raised.value.problems[0].where == str(file)


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    file = tmp_path / "a.npy"
    np.save(file, np.array([{"x": 1}], object), allow_pickle=True)
    with pytest.raises(InputError, match="pickled objects"):
        read_recording(file)


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.bag", {}), ("a.csv", {"unit": "min"}), ("a.csv", {"order": "xyt"})],
)
def test_what_is_not_known_is_refused(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(InputError) as raised:
        read_recording(tmp_path / name, **options)
    assert raised.value.code == "SFX-E141"
