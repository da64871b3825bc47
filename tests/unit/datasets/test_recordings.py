"""Folders of recordings and of SpikingJelly's frames: found, labelled, cut into steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sfx.frontends.datasets.find import find
from sfx.frontends.datasets.options import Frames
from sfx.frontends.datasets.sample import counts, sample, shape
from sfx.frontends.events.events import Events
from sfx.toolchain.ground.errors import InputError
from tests.unit.datasets import sets
from tests.unit.events.others import imported


def test_recordings_by_folder(tmp_path: Path) -> None:
    sets.recordings(tmp_path)
    source = find("recordings", tmp_path, split="train", sensor=(20, 30))
    assert source.classes == ("left", "right")
    assert source.labels.tolist() == [0, 0, 1, 1]
    events = source.read(2)
    assert isinstance(events, Events)
    rows = sets.rows(10, (20, 30))
    assert events.x.tolist() == [x for x, *_ in rows]
    assert events.t.tolist() == [t - rows[0][3] for *_, t in rows]
    assert shape(source, Frames(5)) == (5, 2, 20, 30)
    assert sample(source, 2, Frames(5)).sum() == len(rows)


def test_a_sensor_is_stated_or_asked_for(tmp_path: Path) -> None:
    sets.recordings(tmp_path)
    with pytest.raises(InputError, match="does not say how large its sensor is") as raised:
        find("recordings", tmp_path, split="test")
    assert raised.value.code == "SFX-E142"
    source = find("recordings", tmp_path, split="test", sensor=(20, 12))
    with pytest.raises(InputError, match="outside a sensor of 20x12") as raised:
        sample(source, 0, Frames(2))
    assert raised.value.code == "SFX-E142"


def test_files_without_classes_have_no_labels(tmp_path: Path) -> None:
    for name, seed in (("a.csv", 1), ("b.csv", 2)):
        (tmp_path / name).write_bytes(sets.text(sets.rows(seed, (20, 30))))
    for path, count in ((tmp_path, 2), (tmp_path / "b.csv", 1)):
        source = find("recordings", path, sensor=(20, 30))
        assert source.classes == ()
        assert source.labels.tolist() == [-1] * count
        with pytest.raises(InputError, match="no classes"):
            find("recordings", path, split="test", sensor=(20, 30))


def test_frames_of_spikingjelly_are_taken_as_they_are(tmp_path: Path) -> None:
    sets.spikingjelly(tmp_path)
    source = find("spikingjelly", tmp_path, split="test")
    assert source.classes[:4] == ("0", "1", "10", "11")  # as torchvision numbers them
    for index, name in enumerate(source.classes):
        expected = np.load(tmp_path / "test" / name / "a.npz")["frames"]
        assert source.labels[index] == index
        np.testing.assert_array_equal(sample(source, index, Frames()), expected)
    frames = Frames(5, crop=(4, 6), size=(2, 3))
    assert shape(source, frames) == (5, 2, 2, 3)
    whole = np.load(tmp_path / "test" / "0" / "a.npz")["frames"][:, :, 1:5, :6]
    got = sample(source, 0, frames)
    np.testing.assert_array_equal(got[:3], whole.reshape(3, 2, 2, 2, 3, 2).sum((3, 5)))
    assert not got[3:].any()


def test_frames_of_unequal_number_are_padded_to_the_longest(tmp_path: Path) -> None:
    for c, steps in (("a", 4), ("b", 2)):
        (tmp_path / c).mkdir()
        np.savez_compressed(tmp_path / c / "0_4.npz", frames=np.full((steps, 2, 3, 3), 300.0))
    source = find("spikingjelly", tmp_path)
    assert shape(source, Frames()) == (4, 2, 3, 3)
    assert counts(source, 1, Frames())[:2].min() == 300
    got = sample(source, 1, Frames())
    assert got[:2].min() == 255
    assert not got[2:].any()
    assert sample(source, 0, Frames(3)).shape == (3, 2, 3, 3)


def test_frames_of_units_count_their_classes(tmp_path: Path) -> None:
    """SHD: its loader numbers the folders 0, 1, 2, ..., 10."""
    for c in range(11):
        (tmp_path / str(c)).mkdir()
        np.savez(tmp_path / str(c) / "5.npz", frames=np.full((2, 7), float(c)))
    source = find("spikingjelly", tmp_path)
    assert source.classes == tuple(map(str, range(11)))
    assert all(sample(source, i, Frames()).max() == source.labels[i] for i in range(11))
    assert sorted(source.labels.tolist()) == list(range(11))


def test_events_of_spikingjelly_give_its_frames(tmp_path: Path) -> None:
    """events_np read and divided here, beside what SpikingJelly makes of the same file."""
    datasets = imported("spikingjelly.datasets")
    folder = tmp_path / "events_np" / "3"
    folder.mkdir(parents=True)
    x, y, p, t = np.array(sets.rows(5, (12, 10), 500), np.int64).T
    np.savez(folder / "a.npz", t=t, x=x, y=y, p=p)
    source = find("spikingjelly", tmp_path / "events_np", sensor=(12, 10))
    for by in ("number", "time"):
        out = tmp_path / by
        out.mkdir()
        make = datasets.integrate_events_file_to_frames_file_by_fixed_frames_number
        make(np.load, str(folder / "a.npz"), str(out), by, 7, 12, 10)
        theirs = datasets.load_npz_frames(str(out / "a.npz"))
        frames = Frames(7, by=f"spikingjelly-{by}")
        np.testing.assert_array_equal(sample(source, 0, frames), theirs)
        cropped = sample(source, 0, Frames(7, by=f"spikingjelly-{by}", crop=(6, 4)))
        np.testing.assert_array_equal(cropped, theirs[:, :, 3:9, 3:7])


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"frames": np.full((2, 2, 3, 3), 0.5)}, "has fractions or NaN"),
        ({"frames": np.full((2, 2, 3, 3), np.nan)}, "has fractions or NaN"),
        ({"frames": np.full((2, 2, 3, 3), -1)}, "has frames from -1 to -1"),
        ({"frames": np.zeros((2, 3, 3))}, r"has frames \[2, 3, 3\]"),
        ({"frames": np.array(["a"])}, r"has frames \[1\]"),
        ({"frames": np.zeros((2, 2, 4, 3))}, r"has frames \[2, 2, 4, 3\], the first file"),
    ],
)
def test_frames_that_are_no_counts_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], reason: str
) -> None:
    for c, content in (("a", {"frames": np.ones((2, 2, 3, 3))}), ("b", arrays)):
        (tmp_path / c).mkdir()
        np.savez(tmp_path / c / "0.npz", **content)
    with pytest.raises(InputError, match=reason) as raised:
        sample(find("spikingjelly", tmp_path), 1, Frames())
    assert raised.value.code == "SFX-E139"


def test_a_folder_of_several_is_refused(tmp_path: Path) -> None:
    (tmp_path / "frames_number_4_split_by_time").mkdir()
    (tmp_path / "events_np").mkdir()
    with pytest.raises(InputError, match="holds events_np, frames_number_4_split_by_time"):
        find("spikingjelly", tmp_path)


def test_options_of_events_are_refused_for_frames(tmp_path: Path) -> None:
    sets.spikingjelly(tmp_path)
    source = find("spikingjelly", tmp_path, split="train")
    with pytest.raises(InputError, match="frames already"):
        shape(source, Frames(3, by="count"))
    with pytest.raises(InputError, match="divides the whole recording"):
        Frames(3, by="spikingjelly-time", duration=5)
