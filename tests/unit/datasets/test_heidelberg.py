"""SHD and SSC in files as h5py writes them in every layout, beside what h5py reads of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sfx.frontends.datasets.find import find
from sfx.frontends.datasets.options import Frames
from sfx.frontends.datasets.sample import sample, shape
from sfx.frontends.events.events import Events
from sfx.toolchain.ground.errors import InputError
from tests.unit.datasets.sets import heidelberg
from tests.unit.events.others import imported

LAYOUTS: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunks": {"chunks": (3,), "maxshape": (None,)},
    "packed chunks": {"chunks": (4,), "compression": "gzip", "shuffle": True},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("float_type", ["f2", "f4", "f8"])
def test_every_spike(tmp_path: Path, layout: str, float_type: str) -> None:
    heidelberg(tmp_path / "shd_train.h5", 11, float_type, **LAYOUTS[layout])
    source = find("shd", tmp_path, split="train")
    compared = 0
    with h5py.File(tmp_path / "shd_train.h5") as file:
        assert source.labels.tolist() == file["labels"][:].tolist()
        assert source.classes[0] == "zero"
        for i in range(len(source)):
            events = source.read(i)
            assert isinstance(events, Events)
            theirs = file["spikes/times"][i].astype(np.float64) * 1e6
            np.testing.assert_array_equal(events.t, np.rint(theirs).astype(np.int64))
            np.testing.assert_array_equal(events.x, file["spikes/units"][i])
            compared += len(events)
    assert compared > 400


def test_a_sample_is_units_by_steps(tmp_path: Path) -> None:
    heidelberg(tmp_path / "ssc_valid.h5", 4)
    source = find("ssc", tmp_path, split="valid")
    frames = Frames(10, duration=1_000_000)
    assert shape(source, frames) == (10, 700)
    events = source.read(1)
    assert isinstance(events, Events)
    expected = np.zeros((10, 700))
    for x, t in zip(events.x.tolist(), events.t.tolist(), strict=True):
        if t < 1_000_000:
            expected[t // 100_000, x] += 1
    np.testing.assert_array_equal(sample(source, 1, frames), expected)
    assert expected.sum() > 20
    with pytest.raises(InputError, match="as floats"):
        shape(source, Frames(10, by="spikingjelly-time"))


def test_spikingjelly_divides_by_number_so(tmp_path: Path) -> None:
    shd = imported("spikingjelly.datasets.shd")
    divide = getattr(shd, "integrate_events_by_fixed_frames_number_shd", None)  # of 0.0.0.0.14
    divide = divide or shd._integrate_events_by_fixed_frames_number  # of 2.0.0
    heidelberg(tmp_path / "shd_test.h5", 3)
    source = find("shd", tmp_path, split="test")
    for i in range(3):
        events = source.read(i)
        assert isinstance(events, Events)
        theirs = divide({"t": events.t, "x": events.x}, "number", 7, 700)
        got = sample(source, i, Frames(7, by="spikingjelly-number"))
        np.testing.assert_array_equal(got, theirs)


def test_names_are_taken_only_where_they_fit(tmp_path: Path) -> None:
    heidelberg(tmp_path / "shd_train.h5", 3)
    with h5py.File(tmp_path / "shd_train.h5", "r+") as file:
        del file["extra/keys"]
    assert find("shd", tmp_path, split="train").classes == ("0", "1", "2")
    with h5py.File(tmp_path / "shd_train.h5", "r+") as file:
        file["extra/keys"] = h5py.ExternalLink("/etc/passwd", "/")
    assert find("shd", tmp_path, split="train").classes == ("0", "1", "2")


def vlen(*rows: Any, kind: str = "f4") -> np.ndarray:
    found = np.empty(len(rows), object)
    for i, row in enumerate(rows):
        found[i] = np.array(row, kind)
    return found


def replaced(path: Path, name: str, value: Any, dtype: Any = None) -> None:
    with h5py.File(path, "r+") as file:
        del file[name]
        if value is not None:
            file.create_dataset(name, data=value, dtype=dtype)


F4, U2 = h5py.vlen_dtype("f4"), h5py.vlen_dtype("u2")
WRONG: dict[str, tuple[str, Any, Any, str]] = {
    "no times": ("spikes/times", None, None, "has no array spikes/times"),
    "an array": ("spikes/times", np.zeros((2, 3)), None, "no array of rows"),
    "other number": ("spikes/units", vlen([1], kind="u2"), U2, "2 rows of times and 1 of units"),
    "other length": ("spikes/units", vlen([1], [2], kind="u2"), U2, "times and 1 units"),
    "unit 700": ("spikes/units", vlen([700] * 50, [1], kind="u2"), U2, "units other than 0 to 699"),
    "time": ("spikes/times", vlen([-1] * 50, [1]), F4, "times that are no seconds"),
    "nan": ("spikes/times", vlen([np.nan] * 50, [1]), F4, "times that are no seconds"),
    "labels": ("labels", np.zeros(3, int), None, r"labels \[3\] of int64 for 2 samples"),
    "label": ("labels", np.array([0, -1]), None, "labels -1 to 0"),
    "text": ("labels", np.array([b"a", b"b"]), None, r"labels \[2\] of \|S1"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_refused(tmp_path: Path, what: str) -> None:
    name, value, dtype, reason = WRONG[what]
    path = tmp_path / "shd_train.h5"
    heidelberg(path, 2, spikes=50)
    replaced(path, name, value, dtype)
    with pytest.raises(InputError, match=reason) as raised:
        find("shd", tmp_path, split="train").read(0)
    assert raised.value.code == "SFX-E149"
    assert raised.value.problems[0].where == str(path)


def test_references_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    """A length, a place and a number of the first row of times, each set to what is not there."""
    path = tmp_path / "shd_train.h5"
    heidelberg(path, 2, spikes=50)
    content = path.read_bytes()
    with h5py.File(path) as file:
        at = file["spikes/times"].id.get_offset()
    for start, size, reason in (
        (0, 4, "numbers in"),
        (4, 8, "no collection"),
        (12, 4, "no object"),
    ):
        broken = bytearray(content)
        broken[at + start : at + start + size] = b"\xfe\xff\xff\x7f\xff\xff\xff\x7f"[:size]
        path.write_bytes(bytes(broken))
        with pytest.raises(InputError, match=reason) as raised:
            find("shd", tmp_path, split="train").read(0)
        assert raised.value.code == "SFX-E149"


def test_splits(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no split 'valid'"):
        find("shd", tmp_path, split="valid")
    with pytest.raises(InputError, match="cannot be read") as raised:
        find("ssc", tmp_path, split="valid")
    assert raised.value.problems[0].where.endswith("ssc_valid.h5")
    (tmp_path / "text.h5").write_bytes(b"hello")
    with pytest.raises(InputError, match="SFX-E149"):
        find("shd", tmp_path / "text.h5")
