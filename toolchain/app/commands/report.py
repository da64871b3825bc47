"""`sfx report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    verified: Annotated[
        Path | None,
        typer.Option(metavar="JSON", help="Verdict of `sfx verify --json` to include"),
    ] = None,
    limit: LimitOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Report mapping, energy and latency with uncertainty and source, or compare two models."""
    from ...ir.memory_use import recordable
    from ...report import render
    from .. import api

    loaded = api.load(bundle)
    samples = None if data is None else read_data(data, limit)
    with progress_bar("counting events") as progress:
        values = api.report(loaded, samples, verified=verified, progress=progress)
    if other is not None:
        _compare(values, api.load(other), samples, (bundle.name, other.name), json_file)
        return
    out.print(render.summary(values))
    if html is not None:
        shown, left_out = 0, ""
        if samples is not None:
            most = min(RASTER_SAMPLES, len(samples.x))
            shown, left_out = recordable(loaded.program, most)
        if left_out:
            out.print(f"no raster: {left_out}")
        record = None
        if samples is not None and shown:
            record = api.stream(loaded.program, samples.x[:shown], "reference")
        page = render.html(
            values,
            loaded.placed,
            None if record is None else record.spikes,
            shown,
            target=api.target_of(loaded),
            left_out=left_out,
        )
        write_text(html, page)
        out.print(f"page      {html}")
    if csv is not None:
        write_text(csv, render.csv(values))
        out.print(f"table     {csv}")
    write_json(json_file, values)


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
