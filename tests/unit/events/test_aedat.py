"""AEDAT 2.0 and 3.1 files, written in their exact formats and damaged in every way."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.frontends.events.aedat2 import read_cifar10_dvs
from sfx.frontends.events.aedat3 import read_dvs_gesture
from sfx.frontends.events.atis import read_ncaltech101, read_nmnist
from sfx.frontends.events.events import Events
from sfx.toolchain.ground.errors import InputError
from tests.unit.events.files import (
    AEDAT2_HEADER,
    AEDAT3_HEADER,
    Row,
    aedat2,
    aedat3,
    atis,
    cifar10_dvs,
    packet,
)

ROWS = st.lists(
    st.tuples(
        st.integers(0, 127), st.integers(0, 127), st.integers(0, 1), st.integers(0, 2**31 - 1)
    ),
    min_size=1,
    max_size=20,
)


def decoded(events: Events) -> list[Row]:
    columns = (events.x.tolist(), events.y.tolist(), events.p.tolist(), events.t.tolist())
    return list(zip(*columns, strict=True))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("aedat")


@given(ROWS)
def test_aedat2_reads_back(folder: Path, rows: list[Row]) -> None:
    file = folder / "a.aedat"
    file.write_bytes(cifar10_dvs(rows))
    first = min(row[3] for row in rows)
    assert decoded(read_cifar10_dvs(file)) == [(x, y, p, t - first) for x, y, p, t in rows]


def test_aedat2_by_hand(folder: Path) -> None:
    """Address 0x0A05: y 10, x 2, bit 0 set, so OFF; the image's column is 117, its row 125."""
    file = folder / "hand.aedat"
    file.write_bytes(aedat2([(0x0A05, 1000), (0x8000, 1500), (0x7F00, 2000)]))
    assert decoded(read_cifar10_dvs(file)) == [(117, 125, 0, 0), (0, 127, 1, 1000)]


@pytest.mark.filterwarnings("ignore")  # it is written for an older numpy
def test_aedat2_agrees_with_spikingjelly(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The widest-used reader, on the same file."""
    pytest.importorskip("spikingjelly")
    try:
        from spikingjelly.datasets import cifar10_dvs as cifar
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"SpikingJelly's data sets need a torchvision that fits torch: {error}")
    file = folder / "both.aedat"
    rng = np.random.default_rng(1)
    rows = [tuple(map(int, r)) for r in rng.integers(0, (128, 128, 2, 10**6), (50, 4))]
    rows.sort(key=lambda row: row[3])
    file.write_bytes(cifar10_dvs(rows))  # type: ignore[arg-type]  # rows of four
    monkeypatch.setattr(np, "bool", bool, raising=False)  # a name of older numpy, which it calls
    theirs = cifar.CIFAR10DVS.load_origin_data(str(file))
    ours = read_cifar10_dvs(file)
    for name in "xyp":
        assert np.array_equal(np.asarray(theirs[name], np.int64), getattr(ours, name)), name


@given(ROWS, st.integers(0, 3), st.integers(0, 3))
def test_aedat3_reads_back(folder: Path, rows: list[Row], overflow: int, spare: int) -> None:
    file = folder / "b.aedat"
    foreign = struct.pack("<hhiiiiii", 0, 1, 8, 4, 0, 2, 2, 2) + bytes(16)  # special events
    file.write_bytes(
        aedat3(packet(rows, overflow=overflow, spare=spare), foreign, packet(rows[:1], valid=0))
    )
    assert decoded(read_dvs_gesture(file)) == [
        (x, y, p, t + (overflow << 31)) for x, y, p, t in rows
    ]


def test_aedat3_by_hand(folder: Path) -> None:
    """x = 3, y = 5, ON, valid: 3 << 17 | 5 << 2 | 3."""
    file = folder / "hand3.aedat"
    head = bytes.fromhex("01000100080000000400000000000000" + "01000000" * 3)
    file.write_bytes(AEDAT3_HEADER + head + bytes.fromhex("1700060010270000"))
    assert decoded(read_dvs_gesture(file)) == [(3, 5, 1, 10_000)]


GOOD2 = cifar10_dvs([(1, 2, 1, 3), (4, 5, 0, 6)])
GOOD3 = aedat3(packet([(1, 2, 1, 3), (4, 5, 0, 6)]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "begins with b''"),
        (GOOD3, "begins with b'#!AER-DAT3.1'"),
        (AEDAT2_HEADER, "has 0 bytes of events"),
        (GOOD2[:-3], "has 13 bytes of events, not a positive multiple of 8"),
        (aedat2([(2, 0), (0x12345, 1)]), "event 1 has the address 0x12345"),
    ],
    ids=["empty", "version", "no event", "truncated", "address"],
)
def test_a_wrong_aedat2_is_refused(folder: Path, content: bytes, reason: str) -> None:
    file = folder / "wrong2.aedat"
    file.write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_cifar10_dvs(file)
    assert raised.value.code == "SFX-E133"
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (GOOD2, "begins with b'#!AER-DAT2.0'"),
        (AEDAT3_HEADER[:40], "has no line '#!END-HEADER'"),
        (GOOD3 + b"12345", "ends 5 bytes into a packet's header of 28"),
        (GOOD3[:-1], "ends 15 bytes into a packet of 16"),
        (aedat3(packet([(1, 0, 0, 0)], overflow=1 << 15)), "after 32768 clock overflows"),
        (aedat3(packet([(128, 0, 0, 0)])), "event 0 is at x = 128, y = 0, outside 128x128"),
        (aedat3(struct.pack("<hhiiiiii", 1, 1, 8, 4, 0, 1, 2, 2)), "2 of 1 events of 8 bytes"),
        (aedat3(struct.pack("<hhiiiiii", 1, 1, 0, 4, 0, 1, 1, 1)), "1 of 1 events of 0 bytes"),
        (aedat3(struct.pack("<hhiiiiii", 1, 1, 9, 4, 0, 1, 1, 1) + bytes(9)), "events of 9 bytes"),
    ],
    ids=[
        "version",
        "header",
        "in header",
        "in body",
        "overflow",
        "pixel",
        "number",
        "size",
        "kind",
    ],
)
def test_a_wrong_aedat3_is_refused(folder: Path, content: bytes, reason: str) -> None:
    file = folder / "wrong3.aedat"
    file.write_bytes(content)
    with pytest.raises(InputError) as raised:
        read_dvs_gesture(file)
    assert raised.value.code == "SFX-E134"
    assert reason in str(raised.value)


READERS = {
    read_nmnist: atis([(1, 2, 1, 3), (4, 5, 0, 6)]),
    read_ncaltech101: atis([(200, 170, 1, 3), (4, 5, 0, 6)]),
    read_cifar10_dvs: GOOD2,
    read_dvs_gesture: GOOD3,
}


@pytest.mark.parametrize("reader", READERS, ids=lambda r: r.__name__)
@given(data=st.data())
def test_damage_is_refused_or_read(folder: Path, reader: object, data: st.DataObject) -> None:
    """Bytes changed, cut or put in: an `InputError` or events within the sensor, nothing else."""
    content = bytearray(READERS[reader])  # type: ignore[index]  # one of the keys
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(at, min(len(content), at + 9)))
        content[at:end] = data.draw(st.binary(max_size=9))
    file = folder / "fuzz"
    file.write_bytes(bytes(content))
    try:
        events = reader(file)  # type: ignore[operator]  # one of the keys
    except InputError as error:
        assert error.problems[0].where == str(file)  # noqa: PT017  # refusal is one of two outcomes
    else:
        assert len(events.x) == len(events.t)
        if len(events):
            assert min(events.x.min(), events.y.min(), events.p.min(), events.t.min()) >= 0
            assert max(events.x.max(), events.y.max()) < 240
