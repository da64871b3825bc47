"""Data sets written in their exact formats: found, read, cut into steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sfx.frontends.datasets.find import NAMES, find
from sfx.frontends.datasets.images import read_image
from sfx.frontends.datasets.options import Frames
from sfx.frontends.datasets.sample import sample, shape
from sfx.frontends.datasets.source import Source
from sfx.frontends.events.events import Events, bin_events, fit
from sfx.toolchain.ground.errors import InputError
from tests.unit.datasets.sets import SETS, rows


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every set, in a folder of its name."""
    folder = tmp_path_factory.mktemp("sets")
    for name, write in SETS.items():
        write(folder / name)
    return folder


def counted(seed: int, size: tuple[int, int], crop: tuple[int, int], steps: int) -> np.ndarray:
    """Event counts of `rows(seed, size)` in plain Python, by time, in the middle `crop`."""
    found = np.zeros((steps, 2, *crop), np.uint8)
    events = rows(seed, size)
    last = max(t for *_, t in events) + 1
    for x, y, p, t in events:
        column, row = x - (size[1] - crop[1]) // 2, y - (size[0] - crop[0]) // 2
        if 0 <= column < crop[1] and 0 <= row < crop[0]:
            found[t * steps // last, p, row, column] += 1
    return found


def test_every_set_is_written_here(root: Path) -> None:
    assert set(SETS) == set(NAMES)


def test_nmnist(root: Path) -> None:
    train = find("nmnist", root / "nmnist", split="train")
    assert train.labels.tolist() == [d for d in range(10) for _ in range(2)]
    assert train.classes == tuple("0123456789")
    test = find("nmnist", root / "nmnist", split="test")
    frames = Frames(4, crop=(32, 32))
    assert shape(test, frames) == (4, 2, 32, 32)
    for digit in (0, 7):
        got = sample(test, digit, frames)
        assert np.array_equal(got, counted(100 + 10 * digit, (34, 34), (32, 32), 4))
        assert got.sum() > 0


def test_sets_without_a_split_are_split_by_class(root: Path) -> None:
    sides = [find("cifar10-dvs", root / "cifar10-dvs", split=s, every=4) for s in ("train", "test")]
    assert [s.labels.tolist() for s in sides] == [[0, 0, 0, 1, 1, 1], [0, 1]]
    whole = find("cifar10-dvs", root / "cifar10-dvs")
    frames = Frames(3)
    assert np.array_equal(sample(sides[1], 1, frames), sample(whole, 7, frames))
    assert np.array_equal(sample(whole, 7, frames), counted_from(rows(13, (128, 128)), 3))


def test_a_split_without_a_sample_is_refused(root: Path) -> None:
    with pytest.raises(InputError, match="--every is 5, but no class has so many samples"):
        find("cifar10-dvs", root / "cifar10-dvs", split="test", every=5)


def counted_from(events: list[tuple[int, int, int, int]], steps: int) -> np.ndarray:
    """As `counted`, on 128x128, time from the first event."""
    found = np.zeros((steps, 2, 128, 128), np.uint8)
    first = events[0][3]
    span = events[-1][3] - first + 1
    for x, y, p, t in events:
        found[(t - first) * steps // span, p, y, x] += 1
    return found


def test_ncaltech101_scaled_to_a_smaller_grid(root: Path) -> None:
    source = find("ncaltech101", root / "ncaltech101")
    assert source.classes == ("BACKGROUND_Google", "accordion", "yin_yang")
    got = sample(source, 3, Frames(2, size=(45, 60)))  # the first accordion: seed 0
    whole = counted(0, (180, 240), (180, 240), 2)
    assert np.array_equal(got, whole.reshape(2, 2, 45, 4, 60, 4).sum((3, 5)))


def test_dvs_gesture_is_cut_by_its_labels(root: Path) -> None:
    train = find("dvs-gesture", root / "dvs-gesture", split="train")
    assert train.labels.tolist() == [0, 10, 1, 10]
    test = find("dvs-gesture", root / "dvs-gesture", split="test")
    assert test.labels.tolist() == [2, 10]
    for index, seed, start in ((0, 2, 0), (1, 12, 500_000)):
        events = test.read(index)
        assert isinstance(events, Events)
        expected = [t - start for *_, t in rows(seed, (128, 128), start=start)]
        assert events.t.tolist() == expected


def test_images_are_resized_and_cut(root: Path) -> None:
    source = find("images", root / "images", split="test", size=(16, 20))
    assert source.labels.tolist() == [0, 0, 1]
    assert shape(source, Frames(3)) == (3, 3, 16, 20)
    still = sample(source, 1, Frames(3))
    assert np.array_equal(still[0], still[2])
    gray = find("images", root / "images", split="train", size=(8, 8), gray=True)
    assert shape(gray, Frames(1)) == (1, 1, 8, 8)


def test_a_plain_image_keeps_its_colours(tmp_path: Path) -> None:
    file = tmp_path / "red.png"
    Image.new("RGB", (30, 20), (200, 10, 5)).save(file)
    pixels = read_image(file, (8, 8), gray=False)
    assert pixels.shape == (3, 8, 8)
    assert np.unique(pixels.reshape(3, -1), axis=1).ravel().tolist() == [200, 10, 5]


def test_mnist_idx_plain_and_zipped(root: Path) -> None:
    rng = np.random.default_rng(5)
    first = rng.integers(0, 256, (6, 28, 28)).astype(np.uint8)
    second = rng.integers(0, 256, (4, 28, 28)).astype(np.uint8)
    for split, x in (("train", first), ("test", second)):
        source = find("mnist", root / "mnist", split=split)
        assert source.labels.tolist() == list(range(len(x)))
        got = sample(source, 3, Frames(2, crop=(24, 20)))
        assert np.array_equal(got, np.broadcast_to(x[3, None, None, 2:-2, 4:-4], (2, 1, 24, 20)))


@pytest.mark.needs_data
def test_mnist_npz_is_the_shared_one(data_dir: Path) -> None:
    source = find("mnist", data_dir / "mnist.npz", split="test")
    assert len(source) == 10_000
    assert shape(source, Frames(4)) == (4, 1, 28, 28)
    assert np.bincount(source.labels).tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)
    ]


def test_limit_spreads_over_the_set(root: Path) -> None:
    source = find("nmnist", root / "nmnist", split="train", limit=5)
    assert source.labels.tolist() == [0, 2, 4, 6, 8]
    assert len(find("nmnist", root / "nmnist", split="train", limit=99)) == 20


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 6), st.integers(0, 1), st.integers(0, 50)),
        max_size=30,
    ),
    st.integers(1, 5),
    st.sampled_from(["time", "count"]),
    st.sampled_from([((7, 10), (7, 10)), ((5, 6), (5, 6)), ((7, 10), (3, 4)), ((6, 8), (3, 2))]),
)
def test_every_event_inside_is_counted_once(
    events: list[tuple[int, int, int, int]],
    steps: int,
    by: str,
    sizes: tuple[tuple[int, int], tuple[int, int]],
) -> None:
    """Sums stay, polarity stays, and steps are equally long or equally full."""
    columns = np.array(events, np.int64).reshape(-1, 4).T
    crop, size = sizes
    fitted = fit(Events(*columns), (7, 10), crop, size)
    binned = bin_events(fitted, steps, size, duration=51, by=by)
    top, left = (7 - crop[0]) // 2, (10 - crop[1]) // 2
    inside = [e for e in events if left <= e[0] < left + crop[1] and top <= e[1] < top + crop[0]]
    assert binned.sum() == len(inside)
    assert binned[:, 1].sum() == sum(p for _, _, p, _ in inside)
    full = binned.reshape(steps, -1).sum(1)
    if by == "count":
        assert full.max() - full.min() <= 1
    else:
        expected = np.bincount([t * steps // 51 for *_, t in inside], minlength=steps)
        assert np.array_equal(full, expected)


def test_later_events_are_left_out(root: Path) -> None:
    source = find("nmnist", root / "nmnist", split="test")
    events = source.read(0)
    assert isinstance(events, Events)
    got = sample(source, 0, Frames(5, duration=50_000))
    assert 0 < got.sum() == (events.t < 50_000).sum() < len(events)


def test_a_source_reads_nothing_before_it_is_asked(root: Path, tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "1.bin").write_bytes(b"abc")
    source = find("nmnist", tmp_path)
    assert isinstance(source, Source)
    with pytest.raises(InputError, match="3 bytes"):
        sample(source, 0, Frames(1))
