"""`sfx report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...ground.errors import InputError
from .common import (
    BundleArg,
    JsonOpt,
    LimitOpt,
    out,
    progress_bar,
    read_data,
    to_tell,
    to_write,
    write_json,
    write_text,
)

if TYPE_CHECKING:
    from ...data import Data
    from ...formats.bundle.bundle import Bundle

RASTER_SAMPLES = 2
"""Samples whose spikes the report page shows."""


def report(
    bundle: BundleArg,
    other: Annotated[
        Path | None, typer.Argument(metavar="OTHER", help="Compiled model to compare with")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--input", metavar="DATA", help="Samples on which events are counted (.npz)"),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(callback=to_write, help="Report page to write; it needs no network"),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(callback=to_tell, help="Table of populations to write ('-': to stdout)"),
    ] = None,
    operations: Annotated[
        Path | None,
        typer.Option(
            callback=to_write,
            help="Table of every layer's operations at 45 nm to write, .csv or .tex; needs --input",
        ),
    ] = None,
    verified: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Verdict of `sfx verify --json` to include"),
    ] = None,
    limit: LimitOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Report mapping, energy and latency with uncertainty and source, or compare two models."""
    from ...report import render
    from .. import api

    if operations is not None and data is None:
        hint = f"sfx report {bundle} --input DATA --operations {operations}"
        what = "operations are those of events, which only real inputs have"
        raise InputError("SFX-E671", what, where="--operations", hint=hint)
    if other is not None and (html or csv or operations):
        hint = "--json writes the comparison; pages and tables are of one model each"
        raise InputError("SFX-E672", "two models are compared in figures only", hint=hint)
    loaded = api.load(bundle)
    samples = None if data is None else read_data(data, limit)
    with progress_bar("counting events") as progress:
        values = api.report(loaded, samples, verified=verified, progress=progress)
    if other is not None:
        _compare(values, api.load(other), samples, (bundle.name, other.name), json_file)
        return
    out.print(render.summary(values))
    if html is not None:
        page = _page(loaded, values, samples)
        write_text(html, page)
        out.print(f"page      {html}")
    if operations is not None:
        text = render.operations(values, latex=operations.suffix == ".tex")
        write_text(operations, text)
        out.print(f"operations {operations}")
    if csv is not None:
        write_text(csv, render.csv(values))
        out.print(f"table     {csv}")
    write_json(json_file, values)


def _page(bundle: Bundle, values: dict[str, Any], samples: Data | None) -> str:
    """The report page, with the spikes of the first samples where their record fits in memory."""
    from ...ir.memory_use import recordable
    from ...report import render
    from .. import api

    shown, left_out = 0, ""
    if samples is not None:
        shown, left_out = recordable(bundle.program, min(RASTER_SAMPLES, len(samples.x)))
    if left_out:
        out.print(f"no raster: {left_out}")
    record = None
    if samples is not None and shown:
        record = api.stream(bundle.program, samples.x[:shown], "reference").spikes
    target = api.target_of(bundle)
    return render.html(values, bundle.placed, record, shown, target=target, left_out=left_out)


def _compare(
    first: dict[str, Any],
    other: Bundle,
    samples: Data | None,
    names: tuple[str, str],
    json_file: Path | None,
) -> None:
    from ...report.compared import compared, comparison
    from .. import api

    with progress_bar("counting events of the second") as progress:
        second = api.report(other, samples, progress=progress)
    out.print(compared(first, second, names))
    write_json(json_file, {"names": list(names), "figures": comparison(first, second)})
