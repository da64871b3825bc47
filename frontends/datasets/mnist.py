"""MNIST and its look-alikes: idx files, also gzipped (LeCun), or one `mnist.npz` (Keras).

idx (yann.lecun.com/exdb/mnist): big endian, 00 00 08 D, then D sizes of 32 bits, then the bytes;
D = 3 for images, 1 for labels.
"""

from __future__ import annotations

import gzip
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...toolchain.ground.errors import InputError
from ...toolchain.ground.npy import read_npy
from .options import no_split
from .source import Source

STEMS = {"train": "train", "test": "t10k"}
_HINT = "expected train-images-idx3-ubyte and train-labels-idx1-ubyte (t10k-... for test), also .gz"
_LARGEST = 2**31
"""Bytes of an idx file that is read: MNIST has 47,040,016."""


def mnist(path: Path, split: str | None, every: int) -> Source:
    """A folder of idx files, or a `mnist.npz` with x_train, y_train, x_test, y_test."""
    del every  # the set has a split of its own
    if split not in STEMS:
        raise no_split(split)
    x, y = _npz(path, split) if path.is_file() else _idx_pair(path, STEMS[split])
    if x.ndim != 3 or y.shape != x.shape[:1] or len(y) == 0 or not x.size:
        shapes = f"images {list(x.shape)} and labels {list(y.shape)}"
        raise _refuse(path, f"has {shapes}", "expected [N, H, W] and [N]")
    if x.dtype != np.uint8 or y.dtype.kind not in "iu" or y.min() < 0 or y.max() > 255:
        what = f"has images of type {x.dtype} and labels of type {y.dtype}"
        raise _refuse(path, what, "expected bytes, and labels 0 to 255")
    classes = tuple(str(c) for c in range(int(y.max()) + 1))
    return Source(None, classes, y.astype(np.int64), lambda i: x[i][None])


def read_idx(file: Path) -> NDArray[np.uint8]:
    """The array of an idx file of bytes. Raises `InputError` SFX-E137."""
    try:
        with file.open("rb") as raw:
            stream: Any = gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else raw
            content: bytes = stream.read(_LARGEST)
    except (OSError, EOFError, zlib.error) as error:
        raise _refuse(file, f"cannot be read: {error}", _HINT) from error
    if len(content) < 4 or content[:3] != b"\0\0\x08" or content[3] not in (1, 3):
        raise _refuse(file, f"begins with {content[:4]!r}", "an idx file begins with 00 00 08")
    start = 4 + 4 * content[3]
    if len(content) < start:
        raise _refuse(file, f"ends after {len(content)} bytes", f"its header has {start}")
    sizes = struct.unpack(f">{content[3]}I", content[4:start])
    wanted = start + math.prod(sizes)
    if len(content) != wanted:
        what = f"has {len(content)} bytes"
        raise _refuse(file, what, f"its header declares {list(sizes)}, which is {wanted} bytes")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)


def _idx_pair(folder: Path, stem: str) -> tuple[NDArray[Any], NDArray[Any]]:
    if not folder.is_dir():
        raise _refuse(folder, "does not exist", _HINT)
    found = []
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
        names = (f"{stem}-{kind}", f"{stem}-{kind}.gz", f"{stem}-{kind.replace('-idx', '.idx')}")
        files = [folder / name for name in names if (folder / name).is_file()]
        if not files:
            raise _refuse(folder, f"has no {names[0]}", _HINT)
        found.append(read_idx(files[0]))
    return found[0], found[1]


def _npz(path: Path, split: str) -> tuple[NDArray[Any], NDArray[Any]]:
    hint = "expected an .npz file with x_train, y_train, x_test, y_test, or a folder of idx files"
    found = []
    try:
        with zipfile.ZipFile(path) as file:
            for name in (f"x_{split}.npy", f"y_{split}.npy"):
                info = file.getinfo(name)
                with file.open(info) as stream:
                    found.append(read_npy(stream, info.file_size))
    except Exception as error:  # zipfile and zlib raise many kinds on damaged files
        raise _refuse(path, f"cannot be read: {error}", hint) from error
    return found[0], found[1]


def _refuse(path: Path, what: str, hint: str) -> InputError:
    return InputError("SFX-E137", what, where=str(path), hint=hint)
