"""Small copies of the field's data sets, in the exact layout and format of the downloads."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.unit.events.files import Row, aedat3, atis, cifar10_dvs, mat, packet


def rows(seed: int, size: tuple[int, int], count: int = 40, start: int = 0) -> list[Row]:
    """Events in the order of their times, all over a sensor (H, W)."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 100_000, count)) + start
    x, y, p = (rng.integers(0, n, count) for n in (size[1], size[0], 2))
    return list(zip(x.tolist(), y.tolist(), p.tolist(), t.tolist(), strict=True))


def _file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def nmnist(root: Path) -> None:
    for k, split in enumerate(("Train", "Test")):
        for digit in range(10):
            for i in range(2 - k):
                seed = 100 * k + 10 * digit + i
                _file(root / split / str(digit) / f"{i:05}.bin", atis(rows(seed, (34, 34))))


def ncaltech101(root: Path) -> None:
    for c, name in enumerate(("accordion", "BACKGROUND_Google", "yin_yang")):
        for i in range(3):
            _file(root / name / f"image_{i:04}.bin", atis(rows(10 * c + i, (180, 240))))


def cifar(root: Path) -> None:
    for c, name in enumerate(("airplane", "truck")):
        for i in range(4):
            content = cifar10_dvs(rows(10 * c + i, (128, 128), start=777))
            _file(root / name / f"cifar10_{name}_{i}.aedat", content)


def gesture(root: Path) -> None:
    """Two recordings to train with and one to test with, two gestures in each."""
    names = ["user01_led.aedat", "user02_natural.aedat", "user24_lab.aedat"]
    for i, name in enumerate(names):
        first, second = rows(i, (128, 128)), rows(10 + i, (128, 128), start=500_000)
        _file(root / name, aedat3(packet(first), packet(second)))
        labels = f"class,startTime_usec,endTime_usec\n{i + 1},0,100000\n11,500000,600000\n"
        _file(root / name.replace(".aedat", "_labels.csv"), labels.encode())
    _file(root / "trials_to_train.txt", "\n".join(names[:2]).encode() + b"\n\n")
    _file(root / "trials_to_test.txt", names[2].encode() + b"\r\n")


def images(root: Path) -> None:
    """Classes n01 and n02: PNG and JPEG, gray and coloured, of different sizes."""
    rng = np.random.default_rng(4)
    for split in ("train", "val"):
        for name, suffix, shape in (
            ("n01", ".png", (40, 60, 3)),
            ("n01", ".JPEG", (90, 50, 3)),
            ("n02", ".png", (33, 33)),
        ):
            folder = root / split / name
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, shape).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"a{suffix}")


def idx(array: NDArray[np.uint8]) -> bytes:
    head = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.tobytes()


def mnist(root: Path) -> None:
    """Plain idx files to train with, gzipped ones to test with."""
    rng = np.random.default_rng(5)
    for stem, count, pack, suffix in (
        ("train", 6, bytes, ""),
        ("t10k", 4, gzip.compress, ".gz"),
    ):
        x = rng.integers(0, 256, (count, 28, 28)).astype(np.uint8)
        y = np.arange(count).astype(np.uint8)
        _file(root / f"{stem}-images-idx3-ubyte{suffix}", pack(idx(x)))
        _file(root / f"{stem}-labels-idx1-ubyte{suffix}", pack(idx(y)))


def text(events: list[Row]) -> bytes:
    """A .csv file of events whose columns are named."""
    lines = [f"{t},{x},{y},{p}" for x, y, p, t in events]
    return "\n".join(["t,x,y,p", *lines, ""]).encode()


def recordings(root: Path) -> None:
    """Classes left and right, on 20x30 pixels, in files that do not say so."""
    for k, split in enumerate(("train", "test")):
        for c, name in enumerate(("left", "right")):
            for i in range(2):
                content = text(rows(100 * k + 10 * c + i, (20, 30)))
                _file(root / split / name / f"{i}.csv", content)


def spikingjelly(root: Path) -> None:
    """frames_number_3_split_by_number of 13 classes on 6x7 pixels, as torchvision sorts them."""
    for split in ("train", "test"):
        for c in range(13):
            folder = root / split / str(c)
            folder.mkdir(parents=True, exist_ok=True)
            frames = np.random.default_rng(c).poisson(1.0, (3, 2, 6, 7)).astype(float)
            np.savez(folder / "a.npz", frames=frames)


def heidelberg(
    path: Path, count: int, float_type: str = "f2", spikes: int | None = None, **layout: Any
) -> None:
    """A file of SHD or SSC with `count` samples of about 60 spikes in 1.4 s."""
    rng = np.random.default_rng(count)
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        types = {"times": h5py.vlen_dtype(float_type), "units": h5py.vlen_dtype("u2")}
        times, units = (
            file.create_dataset(f"spikes/{name}", (count,), dtype, **layout)
            for name, dtype in types.items()
        )
        for i in range(count):
            size = spikes or int(rng.integers(30, 90))
            times[i] = np.sort(rng.random(size) * 1.4).astype(float_type)
            units[i] = rng.integers(0, 700, size).astype("u2")
        file["labels"] = np.arange(count) % 4
        file["extra/keys"] = np.array([b"zero", b"null", b"one", b"eins"])


def shd(root: Path) -> None:
    for split, count in (("train", 5), ("test", 4)):
        heidelberg(root / f"shd_{split}.h5", count)


def ssc(root: Path) -> None:
    for split, count in (("train", 5), ("valid", 4), ("test", 4)):
        heidelberg(root / f"ssc_{split}.h5", count)


def asl(root: Path) -> None:
    for c, letter in enumerate("acd"):
        for i in range(3):
            content = mat(rows(10 * c + i, (180, 240)), compressed=i == 1)
            _file(root / letter / f"{letter}_{i:04}.mat", content)


SETS: dict[str, Callable[[Path], None]] = {
    "nmnist": nmnist,
    "ncaltech101": ncaltech101,
    "cifar10-dvs": cifar,
    "asl-dvs": asl,
    "shd": shd,
    "ssc": ssc,
    "dvs-gesture": gesture,
    "images": images,
    "mnist": mnist,
    "recordings": recordings,
    "spikingjelly": spikingjelly,
}
