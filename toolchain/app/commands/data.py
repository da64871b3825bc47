"""`sfx data convert` and `sfx data show`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import (
    JsonOpt,
    out,
    progress_bar,
    to_draw,
    to_write,
    write_json,
)
from .consoles import answering

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ....frontends.datasets.options import Frames
    from ....frontends.datasets.source import Source

app = typer.Typer(
    no_args_is_help=True, help="Convert data sets to DATA, and show what DATA contains."
)

SizeOpt = str | None


@app.command()
@answering
def convert(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Data set as downloaded")],
    name: Annotated[
        str,
        typer.Option(
            "--from",
            help="nmnist, ncaltech101, dvs-gesture, cifar10-dvs, asl-dvs, shd, ssc, images, mnist, "
            "spikingjelly (its folders of frames or events) or recordings (folders of event files, "
            "or one)",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="DATA", callback=to_write, help=".npz file to write"
        ),
    ],
    steps: Annotated[
        int | None,
        typer.Option(
            help="T, the time steps of a sample (default: 8, or those of frames in files)"
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            "--bin",
            help="Events are divided by time (steps of equal duration) or count (of equal number); "
            "spikingjelly-time and spikingjelly-number give SpikingJelly's own frames",
        ),
    ] = "time",
    duration: Annotated[
        int | None,
        typer.Option(
            metavar="US",
            help="Microseconds that the T steps cover; later events are dropped (default: all)",
        ),
    ] = None,
    crop: Annotated[
        SizeOpt, typer.Option(metavar="HxW", help="Crop to the central HxW pixels")
    ] = None,
    size: Annotated[SizeOpt, typer.Option(metavar="HxW", help="Scale to HxW pixels")] = None,
    split: Annotated[str | None, typer.Option(help="train or test; of SSC also valid")] = None,
    every: Annotated[
        int,
        typer.Option(
            help="For sets without a split: every N-th sample of a class is a test sample"
        ),
    ] = 10,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Take at most N samples, spread evenly over the set")
    ] = None,
    gray: Annotated[bool, typer.Option("--gray", help="Convert images to one channel")] = False,
    sensor: Annotated[
        SizeOpt,
        typer.Option(metavar="HxW", help="Sensor of recordings whose files do not say its size"),
    ] = None,
    unit: Annotated[
        str, typer.Option(help="Unit of times in recordings of columns: s, ms, us or ns")
    ] = "us",
    columns: Annotated[
        str, typer.Option(help="Order of columns without names in recordings: xytp, txyp, ...")
    ] = "xytp",
    uncompressed: Annotated[
        bool,
        typer.Option(
            "--uncompressed", help="Write an uncompressed file, which training can map into memory"
        ),
    ] = False,
    json_file: JsonOpt = None,
) -> None:
    """Turn a downloaded data set into DATA: x uint8 (samples, T, C, H, W), y and classes."""
    from ....frontends.datasets.find import find
    from ....frontends.datasets.options import Frames

    pair, part = _pixels("--size", size), _pixels("--crop", crop)
    resized = pair if name == "images" else None
    frames = Frames(steps, by, duration, part, None if resized else pair)
    source = find(
        name,
        path,
        split=split,
        every=every,
        limit=limit,
        size=resized,
        gray=gray,
        sensor=_pixels("--sensor", sensor),
        unit=unit,
        columns=columns,
    )
    values = _write(output, name, source, frames, compress=not uncompressed)
    write_json(json_file, values)


def _write(
    output: Path, name: str, source: Source, frames: Frames, *, compress: bool
) -> dict[str, Any]:
    """The DATA file, what was said of it, and that for programs."""
    import numpy as np

    from ....frontends.datasets.sample import shape
    from ...data.write import write

    sizes, full = shape(source, frames), [0]
    labels = source.labels if source.classes else len(source)
    with progress_bar(f"{name}: {len(source):,} samples") as progress:
        samples = _samples(source, frames, progress, full)
        classes = np.array(source.classes, np.str_)
        write(output, samples, sizes, labels, compress=compress, classes=classes)
    named = f"{len(source.classes)} classes" if source.classes else "no labels"
    out.print(
        f"wrote {output}: x uint8 {[len(source), *sizes]}, {named}", markup=False, soft_wrap=True
    )
    if full[0]:
        out.print(f"{full[0]:,} counts over 255 stayed 255", markup=False, soft_wrap=True)
    values = {"samples": len(source), "shape": list(sizes), "classes": list(source.classes)}
    return {**values, "saturated": full[0]}


@app.command()
@answering
def show(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Samples: .npz with x and y")],
    picture: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="PNG", callback=to_draw, help="Picture of one sample to write"
        ),
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="Index of the sample to draw")] = 0,
    json_file: JsonOpt = None,
) -> None:
    """Show what DATA contains; with -o, write a picture of one sample's events at every step."""
    from ...data.mapped import classes, mapped
    from ...ground.errors import InputError
    from ...report import samples

    found, names = mapped(data), classes(data)
    values = samples.summary(found, names)
    out.print(samples.text(values), markup=False, soft_wrap=True)
    if picture is not None:
        if sample >= found.samples:
            raise InputError(
                "SFX-E615", f"--sample is {sample}, but DATA has samples 0..{found.samples - 1}"
            )
        label = "" if found.y is None else _label(int(found.y[sample]), names)
        samples.picture(found.x[sample], f"{data.name}, sample {sample}{label}", picture)
        out.print(f"picture   {picture}", markup=False, soft_wrap=True)
    write_json(json_file, values)


def _samples(
    source: Source, frames: Frames, progress: Callable[[int, int], None], full: list[int]
) -> Iterator[NDArray[np.uint8]]:
    """The samples one by one; `full[0]` counts what is over 255."""
    from ....frontends.datasets.sample import counts
    from ....frontends.events.events import MOST, saturated

    for i in range(len(source)):
        found = counts(source, i, frames)
        full[0] += int((found > MOST).sum())
        yield saturated(found)
        progress(i + 1, len(source))


def _label(label: int, names: tuple[str, ...]) -> str:
    return f": {names[label]}" if 0 <= label < len(names) else f": class {label}"


def _pixels(option: str, text: str | None) -> tuple[int, int] | None:
    """'32x48' as (32, 48)."""
    from ....frontends.datasets.options import option as refused

    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if match is None:
        raise refused(f"{option} is '{text}'", "height x width in pixels, such as 32x32")
    return int(match[1]), int(match[2])
