"""SHD and SSC, the Heidelberg spiking data sets (Cramer et al. 2020): 700 channels of a cochlea.

    shd_train.h5, shd_test.h5; ssc_train.h5, ssc_valid.h5, ssc_test.h5

`spikes/times` (seconds) and `spikes/units` hold a row of numbers per sample, `labels` its class,
`extra/keys` the classes' names (zenkelab.org, "Heidelberg Spiking Datasets").
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from h5py import h5t
from numpy.typing import NDArray

from ...toolchain.formats.hdf5_strings import content
from ...toolchain.formats.hdf5_vlen import Damaged, Rows, dataset, rows_of
from ...toolchain.ground.errors import InputError
from ..events.events import Events
from .options import option
from .source import Source

CODE = "SFX-E149"
UNITS = 700
SPLITS = {"shd": ("train", "test"), "ssc": ("train", "valid", "test")}
_MOST_NAMES = 1 << 16
"""Bytes of the classes' names that are read."""
_LATEST = 3600.0
"""Seconds: a word takes about one."""
_HINT = "SHD and SSC are .h5 files with spikes/times, spikes/units and labels"


@dataclass(frozen=True, eq=False)
class Spikes:
    """An open file: rows of times and of units, labels [N], names of the classes."""

    times: Rows
    units: Rows
    labels: NDArray[np.int64]
    names: tuple[str, ...]


def heidelberg(name: str, root: Path, split: str | None) -> Source:
    """`shd_train.h5`, `shd_test.h5`; `ssc_train.h5`, `ssc_valid.h5`, `ssc_test.h5`; or one of them.

    Raises `InputError` SFX-E138, SFX-E149.
    """
    file = root
    if not root.is_file():
        if split not in SPLITS[name]:
            what = "no split is named" if split is None else f"there is no split '{split}'"
            raise option(what, f"--split {' or '.join(SPLITS[name])}")
        file = root / f"{name}_{split}.h5"
    with opened(file) as spikes:
        labels, names = spikes.labels, spikes.names
    return Source((1, UNITS), names, labels, lambda i: read_spikes(file, i), line=True)


def read_spikes(file: Path, index: int) -> Events:
    """Sample `index`: t in microseconds from the start, x the unit. Raises SFX-E149."""
    with opened(file) as spikes:
        seconds = spikes.times.row(index).astype(np.float64)
        x = spikes.units.row(index)
        if len(seconds) != len(x):
            raise Damaged(f"sample {index} has {len(seconds)} times and {len(x)} units")
        if len(x) and not (x.min() >= 0 and x.max() < UNITS and np.array_equal(np.rint(x), x)):
            raise Damaged(f"sample {index} has units other than 0 to {UNITS - 1}")
        if not (np.isfinite(seconds) & (seconds >= 0) & (seconds <= _LATEST)).all():
            raise Damaged(f"sample {index} has times that are no seconds of a recording")
        t = np.rint(seconds * 1e6).astype(np.int64)
        zero = np.zeros(len(t), np.int64)
        return Events(x.astype(np.int64), zero, zero + 1, t)


@contextmanager
def opened(path: Path) -> Iterator[Spikes]:
    """The file while the block runs, in which Damaged becomes `InputError` SFX-E149."""
    try:
        with h5py.File(path, "r") as file, content(file) as raw:
            times, units = (rows_of(raw, dataset(file, f"spikes/{n}")) for n in ("times", "units"))
            labels = _labels(file, len(times))
            if len(units) != len(times):
                raise Damaged(f"{len(times)} rows of times and {len(units)} of units")
            yield Spikes(times, units, labels, _names(file, int(labels.max(initial=0)) + 1))
    except InputError:
        raise
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise InputError(CODE, f"cannot be read: {reason}", where=str(path), hint=_HINT) from error
    except Exception as error:  # h5py raises many kinds on damaged files
        what = f"is damaged: {' '.join(str(error).split())}"
        raise InputError(CODE, what, where=str(path), hint=_HINT) from error


def _labels(file: h5py.File, count: int) -> NDArray[np.int64]:
    item = dataset(file, "labels")
    if item.shape != (count,) or item.dtype.kind not in "iu" or not count:
        raise Damaged(f"labels {list(item.shape)} of {item.dtype} for {count} samples")
    found = np.zeros(count, np.int64)
    item.read(h5py.h5s.ALL, h5py.h5s.ALL, found)
    if found.min() < 0 or found.max() > 999:
        raise Damaged(f"labels {found.min()} to {found.max()}")
    return found


def _names(file: h5py.File, classes: int) -> tuple[str, ...]:
    """The classes' names where the file has them as text of fixed length, else their numbers."""
    numbers = tuple(map(str, range(classes)))
    try:
        item = dataset(file, "extra/keys")
    except Damaged:
        return numbers
    kind = item.get_type()
    if not isinstance(kind, h5t.TypeStringID) or kind.is_variable_str() or len(item.shape) != 1:
        return numbers
    size = kind.get_size()
    if not classes <= item.shape[0] <= _MOST_NAMES // max(size, 1):
        return numbers
    found = np.zeros(item.shape[0], f"S{size}")
    item.read(h5py.h5s.ALL, h5py.h5s.ALL, found, mtype=kind)
    return tuple(name.decode("utf8", "replace") for name in found.tolist())
