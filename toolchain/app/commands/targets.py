"""`sfx targets`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import out, stages


def targets(
    name: Annotated[str | None, typer.Argument(help="Target to show in detail")] = None,
    fits: Annotated[
        Path | None,
        typer.Option(metavar="BUNDLE", help="Show what each target needs for this compiled model"),
    ] = None,
) -> None:
    """List the targets, show one with the source of each limit, or show which ones fit a model."""
    from ...report.targets import target_details, target_fits, target_list

    if fits is None:
        out.print(target_list() if name is None else target_details(name))
        return
    from .. import api

    program = api.load(fits).program
    with stages(f"mapping {fits.name}"):
        table = target_fits(program, (name,) if name else None)
    out.print(table)
