"""Folders that SpikingJelly made of a data set: frames, or its events.

    frames_number_10_split_by_number/, frames_number_10_split_by_time/, duration_1000/, or of a
    function of one's own         .npz files with `frames`, [T, 2, H, W] (SHD and SSC: [T, 700])
    events_np/                    .npz files with t, x, y, p

in train/CLASS and test/CLASS, or in CLASS alone. `spikingjelly.datasets` 0.0.0.0.14 and 2.0.0 write
the same layout. Class numbers follow the names in the order of text, as there (class `10` comes
after `1`); for SHD and SSC, whose loader counts, the order of numbers.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ...toolchain.ground.errors import InputError
from ..events.columns import npz_arrays
from .recordings import Stated, recordings, split_folder
from .source import Files, Source, held_out

CODE = "SFX-E139"
_HINT = (
    "PATH is a folder that SpikingJelly made: frames_number_..., duration_... or events_np, with "
    ".npz files in folders of classes"
)


def spikingjelly(root: Path, split: str | None, every: int, stated: Stated) -> Source:
    """`frames_number_...`, `duration_...` or `events_np`: `train/CLASS/*.npz` or `CLASS/*.npz`.

    Raises `InputError` SFX-E135, SFX-E138, SFX-E139.
    """
    inner = [f.name for f in root.iterdir() if _made(f)] if root.is_dir() else []
    if inner:
        what = f"holds {', '.join(sorted(inner))}"
        raise InputError(CODE, what, where=str(root), hint="name one of these folders")
    chosen = split_folder(root, split)
    files = Files.below(chosen or root, (".npz",))
    if _head(files.files[0]) is None:
        return recordings(root, split, every, stated)
    source = _frames(files)
    return source if chosen else held_out(source, split, every)


def _made(folder: Path) -> bool:
    return folder.is_dir() and folder.name.startswith(("frames_number_", "duration_", "events_np"))


def _frames(files: Files) -> Source:
    """Every file's header is looked at for the longest; a sample is read when it is asked for."""
    shapes = [_shape(file) for file in files.files]
    first = shapes[0]
    for file, shape in zip(files.files, shapes, strict=True):
        if shape[1:] != first[1:]:
            what = f"has frames {list(shape)}, the first file of the set {list(first)}"
            raise InputError(CODE, what, where=str(file), hint=_HINT)
    longest = (max(shape[0] for shape in shapes), *first[1:])
    classes, labels = files.classes, files.labels
    if len(first) == 2 and all(name.isdecimal() for name in classes):
        order = sorted(range(len(classes)), key=lambda c: int(classes[c]))
        classes, labels = tuple(classes[c] for c in order), np.argsort(order)[labels]
    return Source(None, classes, labels, lambda i: read_frames(files.files[i]), longest)


def read_frames(file: Path) -> NDArray[np.int64]:
    """Counts of one file, [T, ...]. Raises `InputError` SFX-E139, SFX-E605."""
    _shape(file)
    frames = npz_arrays(file, CODE, _HINT)["frames"]
    if frames.dtype.kind == "f" and not np.array_equal(np.rint(frames), frames):
        raise InputError(
            CODE, "has fractions or NaN in its frames", where=str(file), hint=_NOT_COUNTS
        )
    if frames.size and not (frames.min() >= 0 and frames.max() < 1 << 31):
        what = f"has frames from {frames.min():g} to {frames.max():g}"
        raise InputError(CODE, what, where=str(file), hint=_NOT_COUNTS)
    return frames.astype(np.int64)


_NOT_COUNTS = "frames count events; scale or subtract in the model"


def _shape(file: Path) -> tuple[int, ...]:
    """[T, C, H, W] or [T, N] of a file's frames."""
    head = _head(file)
    shape = () if head is None else head[0]
    if head is None or head[1].kind not in "biuf" or len(shape) not in (2, 4) or 0 in shape:
        what = "has no array 'frames'" if head is None else f"has frames {list(shape)} of {head[1]}"
        raise InputError(CODE, what, where=str(file), hint=_HINT)
    return shape


def _head(file: Path) -> tuple[tuple[int, ...], np.dtype[Any]] | None:
    """Shape and type of `frames` from its header; None if there is no such array."""
    reading: Any = npy_format  # numpy ships it without types
    try:
        with zipfile.ZipFile(file) as archive, archive.open("frames.npy") as stream:
            major, _ = reading.read_magic(stream)
            read = reading.read_array_header_1_0 if major == 1 else reading.read_array_header_2_0
            shape, _, dtype = read(stream)
            return shape, dtype
    except KeyError:
        return None
    except Exception as error:  # zipfile, zlib and numpy's header raise many kinds
        raise InputError(CODE, f"cannot be read: {error}", where=str(file), hint=_HINT) from error
