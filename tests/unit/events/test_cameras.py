"""Prophesee's .dat and .raw, Event Stream and AEDAT 4.0: written word by word, damaged, by hand."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.frontends.events.events import Events
from sfx.frontends.events.formats import read_recording
from sfx.toolchain.ground.errors import InputError, MissingPartError
from tests.unit.events import files
from tests.unit.events.files import Row

pytest.importorskip(
    "flatbuffers", reason="AEDAT 4.0 is written with it; it comes with ONNX Runtime"
)


def decoded(events: Events) -> list[Row]:
    columns = (events.x.tolist(), events.y.tolist(), events.p.tolist(), events.t.tolist())
    return list(zip(*columns, strict=True))


def from_first(rows: list[Row]) -> list[Row]:
    first = min((t for *_, t in rows), default=0)
    return [(x, y, p, t - first) for x, y, p, t in rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cameras")


def one_packet(rows: list[Row]) -> bytes:
    return files.aedat4([(0, files.event_packet(rows))])


def two_packets(rows: list[Row]) -> bytes:
    half = len(rows) // 2
    packets = [
        (0, files.event_packet(rows[:half])),
        (1, b"other"),
        (0, files.event_packet(rows[half:])),
    ]
    return files.aedat4(packets, table=b"a table of packets")


WRITERS: dict[str, tuple[str, Callable[[list[Row]], bytes]]] = {
    "dat": (".dat", files.dat),
    "evt2": (".raw", files.evt2),
    "evt3": (".raw", files.evt3),
    "es": (".es", files.es),
    "aedat4": (".aedat4", one_packet),
    "aedat4 in two packets": (".aedat4", two_packets),
}
SENSORS = {"evt2": (480, 640), "aedat4": (260, 346), "aedat4 in two packets": (260, 346)}
ROW = st.tuples(
    st.integers(0, 1279), st.integers(0, 719), st.integers(0, 1), st.integers(0, 300_000)
)


@pytest.mark.parametrize("name", WRITERS)
@given(rows=st.lists(ROW, max_size=30))
def test_a_file_reads_back(folder: Path, name: str, rows: list[Row]) -> None:
    suffix, write = WRITERS[name]
    rows = sorted(rows, key=lambda row: row[3])
    file = folder / f"a{suffix}"
    file.write_bytes(write(rows))
    found = read_recording(file)
    assert decoded(found.events) == from_first(rows)
    assert found.sensor == SENSORS.get(name, (720, 1280))


@pytest.mark.parametrize(
    ("name", "turn"),
    [("dat", 2**32), ("evt2", 2**34), ("evt3", 2**24)],
    ids=["dat", "evt2", "evt3"],
)
def test_a_clock_that_begins_again(folder: Path, name: str, turn: int) -> None:
    suffix, write = WRITERS[name]
    rows = [(1, 2, 1, turn - 30), (3, 4, 0, turn - 3), (5, 6, 1, turn + 7), (7, 8, 0, 2 * turn - 5)]
    rows.append((9, 9, 1, 2 * turn + 1))
    file = folder / f"turn{suffix}"
    file.write_bytes(write(rows))
    assert decoded(read_recording(file).events) == from_first(rows)


def test_an_event_out_of_order_is_no_new_turn(folder: Path) -> None:
    rows = [(1, 2, 1, 100), (3, 4, 0, 50), (5, 6, 1, 120)]
    for suffix, content in ((".dat", files.dat(rows)), (".raw", files.evt2(rows))):
        file = folder / f"order{suffix}"
        file.write_bytes(content)
        assert decoded(read_recording(file).events) == from_first(rows)


def test_evt3_by_hand(folder: Path) -> None:
    """A base column at 100, ON, then vectors of 12 and 8: columns 100, 102, 111, 112 and 119."""
    file = folder / "vectors.raw"
    file.write_bytes(
        files.words16(
            0x2005,  # before any time: passed over
            0x8001, 0x6010, 0x0007, 0x3800 | 100, 0x4805, 0x5081,
            0x2003,  # one column, OFF
            0xA001,  # a trigger
            0x8001, 0x2004,  # the same upper time keeps the lower one
            0x8002, 0x2005,  # another one clears it
            0x6001, 0x3000 | 50, 0x4001, 0x4001,
        )
    )  # fmt: skip
    t = 0x1010
    assert decoded(read_recording(file).events) == from_first(
        [
            *[(x, 7, 1, t) for x in (100, 102, 111, 112, 119)],
            (3, 7, 0, t),
            (4, 7, 0, t),
            (5, 7, 0, 0x2000),
            (50, 7, 0, 0x2001),
            (62, 7, 0, 0x2001),
        ]
    )


def test_evt2_and_dat_by_hand(folder: Path) -> None:
    """EVT 2: 0x1 ON, time 3, x 5, y 6; .dat: x 5 | y 6 << 14 | ON << 28."""
    raw = files.EVT2_HEADER + bytes.fromhex("06280010 02000080 0628c010".replace(" ", ""))
    file = folder / "hand.raw"
    file.write_bytes(raw)
    assert decoded(read_recording(file).events) == [(5, 6, 1, 0)]  # the first comes before a time
    file = folder / "hand.dat"
    file.write_bytes(files.DAT_HEADER + bytes.fromhex("0c08 e8030000 05800110".replace(" ", "")))
    assert decoded(read_recording(file).events) == [(5, 6, 1, 0)]


def test_es_by_hand(folder: Path) -> None:
    """What event_stream 1.6.3 wrote for events at 5, 131, 258, 386 and 1386 us."""
    text = (
        "4576656e742053747265616d 020000 01 4001 f000 0b01000200 fc03000400 ff0105000600"
        "ff0201000100 ffffffffffffff df3f01c800"
    )
    file = folder / "hand.es"
    file.write_bytes(bytes.fromhex(text.replace(" ", "")))
    found = read_recording(file)
    assert found.sensor == (240, 320)
    expected = [(1, 2, 1, 5), (3, 4, 0, 131), (5, 6, 1, 258), (1, 1, 0, 386), (319, 200, 1, 1386)]
    assert decoded(found.events) == from_first(expected)


def test_es_of_every_gap(folder: Path) -> None:
    """Runs that are longer than one look ahead, resets and long silences between them."""
    rng = np.random.default_rng(3)
    gaps = np.where(rng.random(20_000) < 0.02, rng.integers(0, 100_000, 20_000), 3)
    t = np.cumsum(gaps).tolist()
    rows = [(i % 1280, i % 720, i % 2, t[i]) for i in range(len(t))]
    first = t[8999] // 127  # bytes of overflow of the row that is left out
    content = (
        files.es(rows[:9000])
        + b"\xfe\xfe"
        + files.es([(0, 0, 0, t[8999]), *rows[9000:]])[20 + first + 5 :]
    )
    file = folder / "gaps.es"
    file.write_bytes(content)
    assert decoded(read_recording(file).events) == from_first(rows)


PACKERS = {1: ("lz4.frame", "compress"), 3: ("zstandard", "compress")}


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_aedat4(folder: Path, kind: int) -> None:
    module, function = PACKERS[kind]
    package = pytest.importorskip(module, reason="of the extra `events`")
    rows = [(i % 346, i % 260, i % 2, 1_600_000_000_000_000 + 17 * i) for i in range(100_000)]
    content = files.aedat4([(0, files.event_packet(rows))], kind, getattr(package, function))
    file = folder / "packed.aedat4"
    file.write_bytes(content)
    assert decoded(read_recording(file).events) == from_first(rows)
    file.write_bytes(content[:-20])
    with pytest.raises(InputError, match="SFX-E146"):
        read_recording(file)
    broken = bytearray(content)
    broken[-200] ^= 0x55
    file.write_bytes(bytes(broken))
    try:
        assert len(read_recording(file).events) == len(rows)  # or it is noticed
    except InputError as error:
        assert error.code == "SFX-E146"  # noqa: PT017  # refusal is one of two outcomes


@pytest.mark.parametrize("kind", PACKERS)
def test_a_bomb_is_not_unpacked(folder: Path, kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    module, function = PACKERS[kind]
    package = pytest.importorskip(module, reason="of the extra `events`")
    monkeypatch.setattr("sfx.frontends.events.aedat4._LARGEST", 1 << 22)
    content = files.aedat4([(0, bytes(1 << 26))], kind, getattr(package, function))
    (folder / "bomb.aedat4").write_bytes(content)
    with pytest.raises(InputError, match="unpacks to more than"):
        read_recording(folder / "bomb.aedat4")


@pytest.mark.parametrize("kind", PACKERS)
def test_without_the_extra_it_is_named(
    folder: Path, kind: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, PACKERS[kind][0], None)
    file = folder / "missing.aedat4"
    file.write_bytes(files.aedat4([(0, b"")], kind))
    with pytest.raises(MissingPartError, match="SFX-E147") as raised:
        read_recording(file)
    assert "'lz4>=4.3' 'zstandard>=0.22'" in raised.value.problems[0].hint


def test_the_first_stream_of_events_is_read(folder: Path) -> None:
    text = files.DESCRIPTION.replace("TRIG", "EVTS").replace('"0"', '"7"').replace("/0/", "/7/")
    packets = [(7, files.event_packet([(1, 1, 1, 1)])), (1, files.event_packet([(2, 2, 0, 2)]))]
    file = folder / "streams.aedat4"
    file.write_bytes(files.aedat4(packets, text=text))
    found = read_recording(file)
    assert decoded(found.events) == [(2, 2, 0, 0)]
    assert found.sensor is None


GOOD = [(1, 2, 1, 3), (4, 5, 0, 6)]
PACKET = files.event_packet(GOOD)
WRONG: dict[str, tuple[str, bytes, str, str]] = {
    "dat": (".dat", b"", "SFX-E143", "begins with b''"),
    "dat version": (".dat", b"% Version 1\n\x00\x08", "SFX-E143", "is of version 1"),
    "dat no version": (".dat", b"% Width 3\n\x00\x08", "SFX-E143", r"is of version \(none\)"),
    "dat type": (".dat", files.dat(GOOD, kind=b"\x0e\x08"), "SFX-E143", r"\(14, 8\)"),
    "dat cut": (".dat", files.dat(GOOD)[:-1], "SFX-E143", "has 15 bytes of events"),
    "dat polarity": (".dat", files.dat([(1, 2, 3, 4)]), "SFX-E143", "event 0 has p = 3"),
    "raw": (".raw", b"", "SFX-E144", r"is of EVT version \(none\)"),
    "raw 2.1": (".raw", b"% evt 2.1\n", "SFX-E144", "is of EVT version 2.1"),
    "raw 4": (".raw", b"% format EVT4\n", "SFX-E144", "is of EVT version 4"),
    "evt2 cut": (".raw", files.evt2(GOOD)[:-1], "SFX-E144", "not a multiple of 4"),
    "evt3 cut": (".raw", files.evt3(GOOD)[:-1], "SFX-E144", "not a multiple of 2"),
    "es": (".es", b"Event Stream", "SFX-E145", "begins with b'Event Stream'"),
    "es kind": (".es", files.es(GOOD, kind=2), "SFX-E145", "with ATIS events"),
    "es cut": (".es", files.es(GOOD)[:-1], "SFX-E145", "ends 4 bytes into an event of 5"),
    "es sensor": (".es", files.es(GOOD, (4, 9)), "SFX-E145", "x = 4, y = 5, outside 4x9"),
    "aedat": (".aedat4", files.AEDAT3_HEADER, "SFX-E146", "begins with b'#!AER-DAT3.1'"),
    "aedat header": (".aedat4", b"#!AER-DAT4.0\r\n" + b"\xff" * 8, "SFX-E146", "a header of"),
    "aedat way": (".aedat4", files.aedat4([], 9), "SFX-E146", r"in an unknown way \(9\)"),
    "aedat streams": (".aedat4", files.aedat4([], text="<dv>"), "SFX-E146", "no stream of events"),
    "aedat packet": (".aedat4", files.aedat4([(0, PACKET)])[:-1], "SFX-E146", "a packet of"),
    "aedat half": (".aedat4", files.aedat4([(0, PACKET[:-1])]), "SFX-E146", "a buffer of"),
    "aedat kind": (
        ".aedat4",
        files.aedat4([(0, files.event_packet(GOOD, b"TRIG"))]),
        "SFX-E146",
        "a buffer of b'TRIG'",
    ),
    "aedat count": (
        ".aedat4",
        files.aedat4([(0, PACKET.replace(struct.pack("<I", 2), b"\xff" * 4))]),
        "SFX-E146",
        "items of 16 bytes",
    ),
    "aedat pixel": (
        ".aedat4",
        files.aedat4([(0, files.event_packet([(-1, 0, 0, 0)]))]),
        "SFX-E146",
        "event 0 has x = -1",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_refused(folder: Path, what: str) -> None:
    suffix, content, code, reason = WRONG[what]
    file = folder / f"wrong{suffix}"
    file.write_bytes(content)
    with pytest.raises(InputError, match=reason) as raised:
        read_recording(file)
    assert raised.value.code == code
    assert raised.value.problems[0].where == str(file)


@pytest.mark.parametrize("suffix", [".dat", ".raw", ".es", ".aedat4", ".mat", ".npy", ".csv"])
def test_a_missing_file_is_refused(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_recording(tmp_path / f"none{suffix}")
