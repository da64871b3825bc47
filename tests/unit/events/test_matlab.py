"""MATLAB files as SciPy writes them, beside what SciPy reads of them; ASL-DVS's way up."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfx.frontends.events.asl import read_asl_dvs
from sfx.frontends.events.events import Events
from sfx.frontends.events.formats import read_recording
from sfx.frontends.events.matlab import mat_arrays
from sfx.toolchain.ground.errors import InputError
from tests.unit.events.files import Row, mat
from tests.unit.events.others import imported

scipy_io = pytest.importorskip("scipy.io")
ROWS: list[Row] = [(5, 6, 1, 1000), (239, 0, 0, 1001), (0, 179, 1, 4000)]


def decoded(events: Events) -> list[Row]:
    columns = (events.x.tolist(), events.y.tolist(), events.p.tolist(), events.t.tolist())
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("compressed", [False, True])
@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 239), st.integers(0, 179), st.integers(0, 1), st.integers(0, 2**40)
        ),
        min_size=1,
        max_size=20,
    )
)
def test_asl_dvs_reads_back(
    tmp_path_factory: pytest.TempPathFactory, compressed: bool, rows: list[Row]
) -> None:
    file = tmp_path_factory.mktemp("mat") / "a_0001.mat"
    file.write_bytes(mat(rows, compressed))
    first = min(t for *_, t in rows)
    assert decoded(read_asl_dvs(file)) == [(239 - x, 179 - y, p, t - first) for x, y, p, t in rows]
    assert decoded(read_recording(file).events) == [(x, y, p, t - first) for x, y, p, t in rows]


def test_spikingjelly_reads_asl_dvs_so(tmp_path: Path) -> None:
    asl = imported("spikingjelly.datasets.asl_dvs")
    file = tmp_path / "a_0001.mat"
    file.write_bytes(mat(ROWS, True))
    write = getattr(asl, "_read_mat_save_to_np", None)  # of 2.0.0
    write = write or asl.ASLDVS.read_mat_save_to_np  # of 0.0.0.0.14
    write(str(file), str(tmp_path / "theirs.npz"))
    theirs = np.load(tmp_path / "theirs.npz")
    ours = read_asl_dvs(file)
    for name in "xyp":
        np.testing.assert_array_equal(theirs[name].astype(np.int64), getattr(ours, name))


@pytest.mark.parametrize("compressed", [False, True])
def test_every_type_of_number(tmp_path: Path, compressed: bool) -> None:
    kinds = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
    arrays = {f"a_{k}": (np.arange(12).reshape(3, 4) * 7).astype(k) for k in kinds}
    arrays["long_name_of_an_array"] = np.arange(1000.0)[None]
    others = {"text": "hello", "cell": np.array([1, "a"], object), "z": np.array([1 + 2j])}
    scipy_io.savemat(tmp_path / "a.mat", {**arrays, **others}, do_compression=compressed)
    found = mat_arrays(tmp_path / "a.mat")
    assert set(found) == set(arrays)
    for name, array in scipy_io.loadmat(tmp_path / "a.mat").items():
        if name in arrays:
            np.testing.assert_array_equal(found[name], array.reshape(-1, order="F"))


GOOD, PACKED = mat(ROWS), mat(ROWS, True)


@pytest.mark.parametrize(
    ("content", "code", "reason"),
    [
        (b"", "SFX-E148", "begins with b''"),
        (b"\x89HDF\r\n\x1a\n" + GOOD[8:], "SFX-E148", "begins with"),
        (GOOD[:-9], "SFX-E148", "is damaged"),
        (PACKED[:-9], "SFX-E148", "is damaged"),
        (PACKED.replace(b"\x78\x9c", b"\x78\x00"), "SFX-E148", "is damaged"),
        (mat([(240, 0, 0, 0)]), "SFX-E142", "outside a sensor of 180x240"),
        (mat([(1, 2, 0.5, 0)]), "SFX-E140", "has fractions in p"),  # type: ignore[list-item]  # so
    ],
    ids=["empty", "7.3", "cut", "packed cut", "no zlib", "pixel", "polarity"],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: bytes, code: str, reason: str) -> None:
    file = tmp_path / "wrong.mat"
    file.write_bytes(content)
    with pytest.raises(InputError, match=reason) as raised:
        read_asl_dvs(file)
    assert raised.value.code == code
    assert raised.value.problems[0].where == str(file)


def test_other_arrays_are_refused(tmp_path: Path) -> None:
    scipy_io.savemat(tmp_path / "a.mat", {"spiketrain": np.zeros((3, 4))})
    with pytest.raises(InputError, match="has the arrays spiketrain"):
        read_asl_dvs(tmp_path / "a.mat")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sfx.frontends.events.matlab._LARGEST", 1 << 16)
    packed = zlib.compress(bytes(1 << 22))
    buffer = io.BytesIO(GOOD[:128])
    buffer.seek(128)
    buffer.write(np.array([15, len(packed)], "<u4").tobytes() + packed)
    (tmp_path / "bomb.mat").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="too large, or cut off"):
        mat_arrays(tmp_path / "bomb.mat")
