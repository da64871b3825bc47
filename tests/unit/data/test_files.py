"""DATA written sample by sample, mapped, and asked for by torch."""

from __future__ import annotations

import pickle
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sfx.frontends.datasets.find import find
from sfx.frontends.datasets.options import Frames
from sfx.frontends.datasets.sample import sample
from sfx.toolchain.data import read
from sfx.toolchain.data.mapped import classes, mapped
from sfx.toolchain.data.write import write
from sfx.toolchain.ground.errors import InputError
from tests.unit.datasets.sets import nmnist

SHAPE = (3, 2, 4, 5)


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, *SHAPE)).astype(np.uint8)


@pytest.mark.parametrize("compress", [True, False])
def test_what_is_written_is_read(tmp_path: Path, compress: bool) -> None:
    x, y, names = frames(6), np.arange(6), np.array(["a", "b", "c", "d", "e", "f"])
    files = [tmp_path / "one.npz", tmp_path / "two.npz"]
    for file in files:
        write(file, iter(x), SHAPE, y, compress=compress, classes=names)
    assert files[0].read_bytes() == files[1].read_bytes()
    for found in (read(files[0]), mapped(files[0])):
        assert found.x.dtype == np.uint8
        assert np.array_equal(found.x, x)
        assert found.y is not None
        assert found.y.tolist() == y.tolist()
    assert isinstance(mapped(files[0]).x, np.memmap) == (not compress)
    assert classes(files[0]) == tuple(names.tolist())
    with np.load(files[0]) as plain:  # as anyone else reads it
        assert np.array_equal(plain["x"], x)


@pytest.mark.parametrize(
    ("samples", "what"),
    [
        (frames(2), "2 samples were written, but 3 were announced"),
        (frames(4), "4 samples were written, but 3 were announced"),
        (frames(3)[:, :2], "sample 0 is uint8 [2, 2, 4, 5]"),
        (frames(3).astype(np.int16), "sample 0 is int16 [3, 2, 4, 5]"),
    ],
)
def test_a_wrong_sample_leaves_no_file(tmp_path: Path, samples: np.ndarray, what: str) -> None:
    with pytest.raises(InputError) as raised:
        write(tmp_path / "x.npz", iter(samples), SHAPE, np.arange(3))
    assert raised.value.code == "SFX-E614"
    assert what in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_source_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    def samples() -> Iterator[np.ndarray]:
        yield frames(1)[0]
        raise InputError("SFX-E130", "is damaged")

    file = tmp_path / "x.npz"
    file.write_bytes(b"old")
    with pytest.raises(InputError, match="is damaged"):
        write(file, samples(), SHAPE, np.arange(3))
    assert [f.name for f in tmp_path.iterdir()] == ["x.npz"]
    assert file.read_bytes() == b"old"


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        write(tmp_path / "none" / "x.npz", iter(frames(1)), SHAPE, np.arange(1))
    assert raised.value.code == "SFX-E603"


def test_memory_is_that_of_a_sample(tmp_path: Path) -> None:
    """64 MB pass through a few."""
    one = np.zeros((1, 1, 1024, 1024), np.uint8)
    tracemalloc.start()
    write(tmp_path / "x.npz", (one for _ in range(64)), one.shape, np.arange(64))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16e6
    assert zipfile.ZipFile(tmp_path / "x.npz").getinfo("x.npy").file_size > 64e6


@pytest.mark.needs_torch
def test_torch_sees_what_convert_writes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from sfx.data import EventDataset, FileDataset, time_first

    nmnist(tmp_path / "set")
    source = find("nmnist", tmp_path / "set", split="test")
    how = Frames(3, crop=(32, 32))
    file = tmp_path / "x.npz"
    write(
        file,
        (sample(source, i, how) for i in range(10)),
        (3, 2, 32, 32),
        source.labels,
        compress=False,
    )
    events = EventDataset("nmnist", tmp_path / "set", split="test", steps=3, crop=(32, 32))
    assert events.shape == (3, 2, 32, 32)
    assert events.classes == tuple("0123456789")
    elsewhere = pickle.loads(pickle.dumps(events))  # what a worker process gets
    stored = FileDataset(file)
    assert len(events) == len(elsewhere) == len(stored) == 10
    for i in (0, 4, -1):
        (a, label), (b, _), (c, same) = events[i], elsewhere[i], stored[i]
        assert torch.equal(a, b)
        assert torch.equal(a, c)
        assert label == same == i % 10
    with pytest.raises(IndexError):
        events[10]
    loader = torch.utils.data.DataLoader(events, 4, collate_fn=time_first)
    x, y = next(iter(loader))
    assert x.shape == (3, 4, 2, 32, 32)
    assert y.tolist() == [0, 1, 2, 3]
    flipped = EventDataset(
        "nmnist", tmp_path / "set", split="test", steps=3, crop=(32, 32), transform=torch.neg
    )
    assert torch.equal(flipped[2][0], -events[2][0])


@pytest.mark.needs_torch
def test_a_file_without_labels_is_no_dataset(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from sfx.data import FileDataset

    np.savez(tmp_path / "x.npz", x=frames(2))
    with pytest.raises(InputError, match="has no labels y"):
        FileDataset(tmp_path / "x.npz")
