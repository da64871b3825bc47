"""Folders of recordings in any format that is read: one's own, and sets that need no more.

train/CLASS/*, test/CLASS/*     or without a split: CLASS/*; or files without classes; or one file
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...toolchain.ground.errors import InputError
from ..events.checked import inside
from ..events.columns import ORDER
from ..events.events import Events
from ..events.formats import FORMATS, read_recording
from .options import no_split, option
from .source import Files, Source, held_out

SPLITS = {"train": ("train", "training"), "test": ("test", "val", "valid", "validation", "testing")}
"""Names of the folders of a split, as they may be spelled, in any case."""


@dataclass(frozen=True)
class Stated:
    """What a user says of recordings that do not say it.

    sensor  (rows, columns)
    unit    of times: s, ms, us, ns
    order   of columns without names
    """

    sensor: tuple[int, int] | None = None
    unit: str = "us"
    order: str = ORDER


def recordings(root: Path, split: str | None, every: int, stated: Stated) -> Source:
    """`train/CLASS/*`, `test/CLASS/*`; `CLASS/*`; files without classes; or one file.

    Raises `InputError` SFX-E135, SFX-E138, SFX-E142, and what the first file's reader raises.
    """
    chosen = split_folder(root, split)
    if chosen is not None:
        return _source(Files.below(chosen, tuple(FORMATS)), stated)
    flat = [root] if root.is_file() else _without_classes(root)
    if flat and split is not None:
        raise option(f"--split is {split}, but the recordings have no classes", "leave --split out")
    if flat:
        return _source(Files(tuple(flat), (), np.full(len(flat), -1)), stated)
    return held_out(_source(Files.below(root, tuple(FORMATS)), stated), split, every)


def _without_classes(root: Path) -> list[Path]:
    """The recordings of a folder that has no folders."""
    inside = sorted(root.iterdir()) if root.is_dir() else []
    if any(f.is_dir() and not f.name.startswith(".") for f in inside):
        return []
    return [f for f in inside if f.suffix.lower() in FORMATS]


def _source(files: Files, stated: Stated) -> Source:
    first = read_recording(files.files[0], stated.unit, stated.order)
    sensor = stated.sensor or first.sensor
    if sensor is None:
        rows, columns = (int(n.max(initial=-1)) + 1 for n in (first.events.y, first.events.x))
        what = f"does not say how large its sensor is; its events reach {rows} rows x {columns}"
        where = str(files.files[0])
        raise InputError("SFX-E142", what, where=where, hint="--sensor HxW, such as 128x128")

    def read(index: int) -> Events:
        file = files.files[index]
        events = read_recording(file, stated.unit, stated.order).events
        return inside(events, sensor, file)

    return Source(sensor, files.classes, files.labels, read)


def split_folder(root: Path, split: str | None) -> Path | None:
    """The folder of a split; None where there are no folders called train or test.

    Raises `InputError` SFX-E138 if there are, and `split` names none of them.
    """
    if not root.is_dir():
        return None
    found = {f.name.lower(): f for f in root.iterdir() if f.is_dir()}
    known = {s: [found[n] for n in names if n in found] for s, names in SPLITS.items()}
    if not any(known.values()):
        return None
    if split not in known:
        raise no_split(split)
    if not known[split]:
        raise InputError("SFX-E135", f"has no folder {split}", where=str(root))
    return known[split][0]
