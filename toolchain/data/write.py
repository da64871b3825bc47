"""Writing a DATA file sample by sample: memory for one sample, and no half-written file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..ground.errors import InputError
from ..ground.files import replacing

_DATE = (1980, 1, 1, 0, 0, 0)  # of every member: equal samples make equal files


def write(
    path: Path,
    samples: Iterable[NDArray[np.uint8]],
    shape: tuple[int, ...],
    labels: NDArray[np.int64] | int,
    *,
    compress: bool = True,
    **more: NDArray[Any],
) -> None:
    """Write `x` [K, *shape] uint8 from `samples`, `y` = `labels` [K] and the arrays in `more`.

    labels    of the samples; or K, where they have none and there is no `y`
    compress  False: `x` lies in the file as it is, so that `sfx.data.FileDataset` can map it

    The file appears when it is complete. Raises `InputError` SFX-E603 if it cannot be written,
    SFX-E614 for a sample of another shape or type or another number of samples than labels, and
    what `samples` raises.
    """
    if isinstance(labels, int):
        count, arrays = labels, more
    else:
        count, arrays = len(labels), {"y": labels, **more}
    kind = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with replacing(path) as stream, zipfile.ZipFile(stream, "w", kind) as archive:
        with archive.open(_member("x", kind), "w", force_zip64=True) as file:
            _stream(file, samples, (count, *shape))
        for name, array in arrays.items():
            with archive.open(_member(name, kind), "w") as file:
                npy.write_array(file, array, allow_pickle=False)


def _member(name: str, kind: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{name}.npy", _DATE)
    info.compress_type = kind
    return info


def _stream(file: Any, samples: Iterable[NDArray[np.uint8]], shape: tuple[int, ...]) -> None:
    header = {"descr": npy.dtype_to_descr(np.dtype(np.uint8)), "fortran_order": False}
    npy.write_array_header_1_0(file, {**header, "shape": shape})
    count = 0
    for sample in samples:
        if sample.shape != shape[1:] or sample.dtype != np.uint8:
            found = f"sample {count} is {sample.dtype} {list(sample.shape)}"
            raise InputError("SFX-E614", found, hint=f"expected uint8 {list(shape[1:])}")
        file.write(sample.tobytes())
        count += 1
    if count != shape[0]:
        raise InputError("SFX-E614", f"{count} samples were written, but {shape[0]} were announced")
