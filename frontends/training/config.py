"""What `sfx train` reads: a TOML file with the tables [model], [data], [train] and, if wanted,
[augment], [events] and [qat].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ...toolchain.formats.fine_tuned import TRAINED, USUAL
from ...toolchain.ground.errors import InputError, Problem
from ...toolchain.ground.toml import read_toml
from ..events.columns import ORDER
from .augment import Augment
from .event_augment import EventAugment
from .recipe import Recipe, TuneRecipe
from .table import Table

OF_SETS = (
    *("test_every", "steps", "bin", "duration", "crop", "size"),
    *("gray", "sensor", "unit", "columns"),
)
"""Settings of [data] that only sets take."""


@dataclass(frozen=True)
class DataTable(Table):
    """Where samples are from; paths are relative to the file.

    train, test  DATA files with labels
    set, path    in their place, a data set as it was downloaded, by its name in `sfx data convert`,
                 whose recordings are binned as they are asked for
    validation   share of each class that is held out from training
    test_every   of a set without a split of its own, every N-th sample of a class is a test sample
    steps, bin, duration, crop, size, gray, sensor, unit, columns   of the set's frames, as in
                 `sfx data convert`
    calibration  training samples that go into the checkpoint, for the quantizer
    """

    title: ClassVar[str] = "data"
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {
        "validation": (0, 0.9),
        "test_every": (2, 1_000_000),
        "calibration": (1, 100_000),
        "steps": (1, 1_000_000),
    }

    train: str = ""
    test: str = ""
    set: str = ""
    path: str = ""
    validation: float = 0.0
    test_every: int = 10
    steps: int = 8
    bin: str = "time"
    duration: int | None = None
    crop: tuple[int, int] | None = None
    size: tuple[int, int] | None = None
    gray: bool = False
    sensor: tuple[int, int] | None = None
    unit: str = "us"
    columns: str = ORDER
    calibration: int = 64


@dataclass(frozen=True)
class QatTable(Table):
    """Fine-tuning in integers after the training, by `Recipe` [qat.train].

    bits     of the weights
    target   of the mapping that the fine-tuned network must fit
    trained  of the weights, biases, thresholds, leaks and scales those that are trained
    """

    title: ClassVar[str] = "qat"
    ranges: ClassVar[Mapping[str, tuple[float, float]]] = {"bits": (2, 8)}

    bits: int = 8
    target: str = "loihi"
    trained: tuple[str, ...] = USUAL

    def _wrong(self) -> Iterator[Problem]:
        found = [*super()._wrong()]
        yield from found
        unknown = [] if found else [k for k in self.trained if k not in TRAINED]
        if unknown or not (found or self.trained):
            what = f"has {unknown[0]!r}" if unknown else "is empty"
            hint = f"some of: {', '.join(TRAINED)}"
            yield Problem("SFX-E380", self._at("trained"), what, hint)


@dataclass(frozen=True)
class Config:
    """A training from a file.

    model     name of a zoo network and its fields, or
    start     a checkpoint whose weights it begins with
    settings  the whole file, by which a run that goes on is known
    """

    folder: Path
    model: Mapping[str, Any]
    start: Path | None
    data: DataTable
    train: Recipe
    augment: Augment
    events: EventAugment | None
    qat: QatTable | None = None
    tune: Recipe | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def read_config(path: Path) -> Config:
    """Raises InputError: SFX-E388 a file that cannot be read, SFX-E380 what is wrong in it."""
    settings = _read(path)
    known = ("model", "data", "train", "augment", "events", "qat")
    unknown = [k for k in settings if k not in known]
    absent = [k for k in known[:3] if k not in settings]
    if unknown or absent:
        what = f"has a table [{unknown[0]}]" if unknown else f"has no table [{absent[0]}]"
        hint = f"tables: {', '.join(known)}"
        raise InputError("SFX-E380", what, where=str(path), hint=hint)
    model = settings["model"]
    if not isinstance(model, dict) or ("name" in model) == ("checkpoint" in model):
        what = "[model] needs either name = '...' with the network's fields, or checkpoint = '...'"
        raise InputError("SFX-E380", what, where=str(path))
    start = None if "checkpoint" not in model else path.parent / str(model["checkpoint"])
    if start is not None and len(model) > 1:
        what = "[model] checkpoint = '...' says the network's fields itself: leave the others out"
        raise InputError("SFX-E380", what, where=str(path))
    where, qat, tune = str(path), None, None
    if "qat" in settings:
        table = settings["qat"]
        if not isinstance(table, dict) or not isinstance(table.get("train"), dict):
            what = "[qat] needs a table [qat.train] with epochs, batch and rate"
            raise InputError("SFX-E380", what, where=where)
        qat = QatTable.of({k: v for k, v in table.items() if k != "train"}, where)
        tune = TuneRecipe.of(table["train"], where)
    events = settings.get("events")
    data = DataTable.of(settings["data"], where)
    _from_one_place(data, settings["data"], where)
    if events is not None and not data.set:
        what = "[events] changes events before they are binned: it needs [data] set and path"
        raise InputError("SFX-E380", what, where=where)
    return Config(
        path.parent,
        model,
        start,
        data,
        Recipe.of(settings["train"], where),
        Augment.of(settings.get("augment", {}), where),
        None if events is None else EventAugment.of(events, where),
        qat,
        tune,
        settings,
    )


def _from_one_place(data: DataTable, given: Mapping[str, Any], where: str) -> None:
    """Raise InputError (SFX-E380) unless samples are from files, or all from one set."""
    problem = ""
    if bool(data.train) == bool(data.set) or bool(data.set) != bool(data.path):
        problem = "[data] needs either train = FILE, or set = NAME and path = FOLDER"
    elif data.set and data.test:
        problem = "[data] test is a file, but the test samples are those of the set"
    elif data.train and (idle := [k for k in OF_SETS if k in given]):
        problem = f"[data] {idle[0]} says how a set is binned, but train is a file of frames"
    if problem:
        raise InputError("SFX-E380", problem, where=where)


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_toml(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError("SFX-E388", f"cannot be read: {reason}", where=str(path)) from error
