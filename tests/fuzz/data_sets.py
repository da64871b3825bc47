"""The readers of the field's data sets, with small files as they are downloaded."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from sfx.frontends.datasets.find import find
from sfx.frontends.datasets.gesture import read_labels
from sfx.frontends.datasets.images import read_image
from sfx.frontends.datasets.mnist import read_idx
from sfx.frontends.datasets.options import Frames
from sfx.frontends.datasets.sample import sample
from sfx.frontends.datasets.spikingjelly import read_frames
from sfx.frontends.events.aedat2 import SIZE, read_cifar10_dvs
from sfx.frontends.events.aedat3 import read_dvs_gesture
from sfx.frontends.events.atis import NCALTECH101, NMNIST, read_ncaltech101, read_nmnist
from sfx.frontends.events.events import Events, bin_events
from sfx.frontends.events.formats import read_recording
from sfx.toolchain.data.mapped import classes, mapped
from sfx.toolchain.data.write import write
from tests.unit.datasets.sets import heidelberg, idx, rows, text
from tests.unit.events import files
from tests.unit.events.files import aedat3, atis, cifar10_dvs, npy, npz, packet, structured

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


def _recording(path: Path) -> object:
    """What is read must bin, on a sensor that is not larger than it needs to be."""
    found = read_recording(path).events
    few = found.pick((found.x < 40) & (found.y < 30))
    return [bin_events(few, 3, (30, 40), by=by) for by in ("time", "count")]


def _frames(path: Path) -> object:
    return read_frames(path).sum()


def _heidelberg(path: Path) -> object:
    source = find("shd", path)
    return [sample(source, i, Frames(3, duration=1_400_000)).sum() for i in range(len(source))]


def _npy(folder: Path) -> list[bytes]:
    return [npy(structured(EVENTS)), npy(np.array(EVENTS)), npy(np.array(EVENTS, float))]


def _npz_events(folder: Path) -> list[bytes]:
    x, y, p, t = np.array(EVENTS).T
    return [npz(x=x, y=y, p=p, t=t), npz(events=structured(EVENTS))]


def _spikingjelly(folder: Path) -> list[bytes]:
    return [npz(frames=np.ones((2, 2, 3, 3))), npz(frames=np.ones((3, 5)))]


def _csv(folder: Path) -> list[bytes]:
    rows = [f"{x};{y};{t / 7:.3f};{2 * p - 1}" for x, y, p, t in EVENTS]
    return [text(EVENTS), "\n".join(["# seconds", *rows]).encode()]


def _aedat4(folder: Path) -> list[bytes]:
    packets = [(0, files.event_packet(EVENTS)), (1, b"x"), (0, files.event_packet(EVENTS[:2]))]
    made = [files.aedat4(packets), files.aedat4(packets, table=b"table")]
    for kind, name in ((1, "lz4.frame"), (3, "zstandard")):
        try:
            pack = import_module(name).compress
        except ImportError:
            continue  # without the extra `events` its packets are refused before they are unpacked
        made.append(files.aedat4(packets, kind, pack))
    return made


def _raw(folder: Path) -> list[bytes]:
    vectors = (0x8001, 0x6010, 0x0007, 0x3805, 0x4805, 0x5081, 0x2003, 0x8002, 0x6001, 0x4001)
    return [files.evt2(EVENTS), files.evt3(EVENTS), files.words16(*vectors)]


def _shd(folder: Path) -> list[bytes]:
    made = []
    for layout in ({}, {"chunks": (2,), "maxshape": (None,), "compression": "gzip"}):
        heidelberg(folder / "seed.h5", 3, spikes=5, **layout)
        made.append((folder / "seed.h5").read_bytes())
    return made


EVENTS = rows(1, (30, 40), 6)

RECORDINGS: dict[str, tuple[str, Callable[[Path], object], Seeds]] = {
    "columns.csv": (".csv", _recording, _csv),
    "columns.npy": (".npy", _recording, _npy),
    "columns.npz": (".npz", _recording, _npz_events),
    "spikingjelly": (".npz", _frames, _spikingjelly),
    "matlab": (".mat", _recording, lambda f: [files.mat(EVENTS), files.mat(EVENTS, True)]),
    "aedat4": (".aedat4", _recording, _aedat4),
    "dat": (".dat", _recording, lambda f: [files.dat(EVENTS)]),
    "raw": (".raw", _recording, _raw),
    "es": (".es", _recording, lambda f: [files.es(EVENTS, (40, 30))]),
    "heidelberg": (".h5", _heidelberg, _shd),
}
"""Suffix, reader and sound files of each, by name."""

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
