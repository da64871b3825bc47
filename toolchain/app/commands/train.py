"""`sfx train`: a network of the zoo on data, from one configuration file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import JsonOpt, err, out, to_fill, write_json

if TYPE_CHECKING:
    from ....frontends.training.loop import Epoch, Training
    from ..api.training import Told, Trained


def train(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG", help=".toml file with [model], [data], [train]; see docs/training.md"
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            callback=to_fill,
            help="Folder for the checkpoint, the log, its picture",
        ),
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on after the last epoch that was finished there")
    ] = False,
    device: Annotated[str, typer.Option(help="Of torch: cpu, cuda, cuda:1")] = "cpu",
    json_file: JsonOpt = None,
) -> None:
    """Train a network of the zoo on DATA, and fine-tune it in integers if the file says so."""
    from ..api import training as api

    with _told() as told:
        found = api.train(file, output, resume=resume, device=device, told=told)
    for stage in found:
        out.print(_line(stage), markup=False)
    write_json(json_file, {"stages": [_values(stage) for stage in found]})


@contextmanager
def _told() -> Iterator[Told]:
    """Lines of what happens; on a terminal the steps of each epoch as well, while it is open."""
    from rich.progress import Progress

    from ..api.training import Told

    def stage(name: str, training: Training) -> None:
        left = training.recipe.epochs - len(training.epochs)
        err.print(f"{name}: {left} of {training.recipe.epochs} epochs to go", markup=False)
        for old in bar.task_ids:
            bar.remove_task(old)
        task = bar.add_task(name)
        training.progress = lambda done, total: bar.update(task, completed=done, total=total)

    def epoch(one: Epoch) -> None:
        err.print(_epoch(one), markup=False)

    with Progress(console=err, transient=True, disable=not err.is_terminal) as bar:
        yield Told(stage, epoch)


def _epoch(e: Epoch) -> str:
    from ...report.units import share

    held = "" if e.validation is None else f"  held out {share(e.validation, 2):>7}"
    cost = "" if e.activity is None else f"  spikes cost {e.activity:.2f}"
    return (
        f"epoch {e.number:3d}  loss {e.loss:.4f}  train {share(e.train, 2):>7}{held}{cost}"
        f"  {e.seconds:.0f} s"
    )


def _line(stage: Trained) -> str:
    from ...report.units import share
    from ..api.training import interval

    if stage.right is None:
        return f"{stage.path}: no test samples were given"
    low, high = interval(stage.right, stage.tested)
    of = f"({stage.right} of {stage.tested})"
    return (
        f"{stage.path}: test accuracy {share(stage.right / stage.tested, 2)} {of}, "
        f"95 % confidence {100 * low:.2f} to {100 * high:.2f} %"
    )


def _values(stage: Trained) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "path": str(stage.path),
        "right": stage.right,
        "tested": stage.tested,
        "epochs": [asdict(e) for e in stage.epochs],
    }
