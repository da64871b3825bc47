"""The readers of the field's data sets, with small files as they are downloaded."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sfx.frontends.datasets.find import find
from sfx.frontends.datasets.gesture import read_labels
from sfx.frontends.datasets.images import read_image
from sfx.frontends.datasets.mnist import read_idx
from sfx.frontends.datasets.options import Frames
from sfx.frontends.datasets.sample import sample
from sfx.frontends.events.aedat2 import SIZE, read_cifar10_dvs
from sfx.frontends.events.aedat3 import read_dvs_gesture
from sfx.frontends.events.atis import NCALTECH101, NMNIST, read_ncaltech101, read_nmnist
from sfx.frontends.events.events import Events, bin_events
from sfx.toolchain.data.mapped import classes, mapped
from sfx.toolchain.data.write import write
from tests.unit.datasets.sets import idx, rows
from tests.unit.events.files import aedat3, atis, cifar10_dvs, packet

Seeds = Callable[[Path], list[bytes]]


def _binned(read: Callable[[Path], Events], size: tuple[int, int]) -> Callable[[Path], object]:
    """What is read must bin."""

    def run(path: Path) -> object:
        events = read(path)
        return [bin_events(events, 3, size, by=by) for by in ("time", "count")]

    return run


def _labels(path: Path) -> object:
    return read_labels(path.with_name(path.name.replace("_labels.csv", ".aedat")))


def _mnist(path: Path) -> object:
    return sample(find("mnist", path, split="test"), 0, Frames(2))


def _mapped(path: Path) -> object:
    found = mapped(path)
    return found.x.sum(dtype=np.int64), found.y, classes(path)


def _images(folder: Path) -> list[bytes]:
    from PIL import Image

    found = []
    for kind, mode in (("PNG", "RGB"), ("JPEG", "RGB"), ("PNG", "P"), ("PNG", "RGBA")):
        buffer = io.BytesIO()
        Image.effect_noise((9, 7), 50).convert(mode).save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def _npz(folder: Path) -> list[bytes]:
    buffer = io.BytesIO()
    np.savez(buffer, x_test=np.ones((2, 5, 5), np.uint8), y_test=np.array([3, 4]))
    return [buffer.getvalue()]


def _data(folder: Path) -> list[bytes]:
    frames = np.ones((2, 3, 1, 2, 2), np.uint8)
    file = folder / "seed.npz"
    write(file, iter(frames), (3, 1, 2, 2), np.arange(2), compress=False, classes=np.array(["a"]))
    return [file.read_bytes()]


def _idx(folder: Path) -> list[bytes]:
    return [idx(np.ones((2, 3, 3), np.uint8)), idx(np.arange(4).astype(np.uint8))]


def _zipped(folder: Path) -> list[bytes]:
    return [gzip.compress(content) for content in _idx(folder)]


DATA_SETS: tuple[tuple[str, str, Callable[[Path], object], Seeds], ...] = (
    ("nmnist", ".bin", _binned(read_nmnist, NMNIST), lambda f: [atis(rows(1, NMNIST, 6))]),
    (
        "ncaltech101",
        ".bin",
        _binned(read_ncaltech101, NCALTECH101),
        lambda f: [atis(rows(1, NCALTECH101, 6))],
    ),
    (
        "aedat2",
        ".aedat",
        _binned(read_cifar10_dvs, SIZE),
        lambda f: [cifar10_dvs(rows(1, SIZE, 6))],
    ),
    (
        "aedat3",
        ".aedat",
        _binned(read_dvs_gesture, SIZE),
        lambda f: [aedat3(packet(rows(1, SIZE, 4), spare=1), packet(rows(2, SIZE, 3)))],
    ),
    ("gesture labels", "_labels.csv", _labels, lambda f: [b"class,start,end\n1,5,9\n11,10,900\n"]),
    ("image", ".png", lambda path: read_image(path, (4, 4), gray=False), _images),
    ("idx", "-ubyte", read_idx, _idx),
    ("idx.gz", ".gz", read_idx, _zipped),
    ("mnist.npz", ".npz", _mnist, _npz),
    ("mapped data", ".npz", _mapped, _data),
)
"""Name, suffix, reader and sound files of each."""
