"""DVS128 Gesture (Amir et al. 2017): long recordings, cut into gestures by label files.

    trials_to_train.txt, trials_to_test.txt   names of recordings, one a line
    user01_led.aedat                          a recording, AEDAT 3.1
    user01_led_labels.csv                     class, startTime_usec, endTime_usec; classes 1 to 11

or as Tonic downloads them, cut already: ibmGestureTrain/user01_led/0.npy, ibmGestureTest/...

Sample k is the events with start <= t < end, its time counted from its start; label = class - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ...toolchain.ground.errors import InputError
from ..events.aedat3 import SIZE, read_dvs_gesture
from ..events.checked import inside
from ..events.columns import read_npy_file
from ..events.events import Events
from .options import no_split
from .source import Source

CLASSES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter clockwise",
    "left arm clockwise",
    "left arm counter clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)
"""Classes 1 to 11 (the set's own gesture_mapping.csv)."""


_LATEST = 1 << 46
"""Microseconds: two years."""


@dataclass(frozen=True)
class Gesture:
    """One row of a label file: events of `file` from `start` to before `end`, microseconds."""

    file: Path
    label: int
    start: int
    end: int


def dvs_gesture(root: Path, split: str | None, every: int) -> Source:
    """`trials_to_*.txt`, `user*.aedat`, `user*_labels.csv`; or Tonic's `ibmGestureTrain/*/*.npy`.

    Raises `InputError` SFX-E135 for a missing or malformed list or label file.
    """
    del every  # the set has a split of its own
    if split not in ("train", "test"):
        raise no_split(split)
    if (folder := root / f"ibmGesture{split.capitalize()}").is_dir():
        return _of_tonic(folder)
    trials = _lines(root / f"trials_to_{split}.txt")
    gestures = [g for name in trials for g in read_labels(root / name)]
    if not gestures:
        hint = "expected names of .aedat files, one a line"
        raise _refuse(root / f"trials_to_{split}.txt", "names no recording", hint)

    @lru_cache(maxsize=1)  # the gestures of a recording follow each other
    def recording(file: Path) -> Events:
        return read_dvs_gesture(file)

    def read(index: int) -> Events:
        return _cut(recording(gestures[index].file), gestures[index])

    labels = np.array([g.label for g in gestures], np.int64)
    return Source(SIZE, CLASSES, labels, read)


def _of_tonic(folder: Path) -> Source:
    """`user01_led/0.npy`, ...: numbers [M, 4], x, y, p, milliseconds; the file names the class."""
    files = sorted(folder.glob("user*/*.npy"))
    wrong = [f for f in files if f.stem not in _NUMBERS]
    if wrong or not files:
        what = "is not named after a class" if wrong else "holds no user*/*.npy"
        raise _refuse(wrong[0] if wrong else folder, what, "Tonic names files 0.npy to 10.npy")

    def read(index: int) -> Events:
        return inside(read_npy_file(files[index], "ms", "xypt").events, SIZE, files[index])

    return Source(SIZE, CLASSES, np.array([int(f.stem) for f in files], np.int64), read)


_NUMBERS = tuple(map(str, range(len(CLASSES))))


def read_labels(recording: Path) -> list[Gesture]:
    """The gestures of one `.aedat` file, from the label file beside it."""
    file = recording.with_name(f"{recording.stem}_labels.csv")
    hint = "expected lines 'class,startTime_usec,endTime_usec' with classes 1 to 11"
    found = []
    for number, line in enumerate(_lines(file)[1:], 2):  # the first line names the columns
        try:
            label, start, end = (int(word) for word in line.split(","))
        except ValueError as error:
            raise _refuse(file, f"line {number} is {line[:60]!r}", hint) from error
        if not (1 <= label <= len(CLASSES) and 0 <= start < end < _LATEST):
            raise _refuse(file, f"line {number} is {line[:60]!r}", hint)
        found.append(Gesture(recording, label - 1, start, end))
    return found


def _cut(events: Events, gesture: Gesture) -> Events:
    inside = (events.t >= gesture.start) & (events.t < gesture.end)
    if not inside.any():
        span = f"{gesture.start} to {gesture.end} us"
        what = f"has no event from {span}, where its label file has a gesture"
        raise _refuse(gesture.file, what, "the recording and its label file belong together")
    t = events.t[inside] - gesture.start
    return Events(events.x[inside], events.y[inside], events.p[inside], t)


def _lines(file: Path) -> list[str]:
    """The lines that are not blank."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not text"
        hint = "DVS128 Gesture has trials_to_train.txt, trials_to_test.txt and *_labels.csv"
        raise _refuse(file, f"cannot be read: {reason}", hint) from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _refuse(file: Path, what: str, hint: str) -> InputError:
    return InputError("SFX-E135", what, where=str(file), hint=hint)
