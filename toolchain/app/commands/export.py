"""`sfx export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...formats.table import FORMATS
from .common import BundleArg, out, stages, to_write

EXPORTS = {f.name: f for f in FORMATS if f.export}


def export(
    bundle: BundleArg,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", callback=to_write, help="File to write"),
    ],
    to: Annotated[
        str,
        typer.Option(help="; ".join(f"{f.name}: {f.export}" for f in EXPORTS.values())),
    ] = "onnx",
    standard_only: Annotated[
        bool,
        typer.Option(
            "--standard-only",
            help="With --to nir: use standard nodes only; views become dense layers",
        ),
    ] = False,
) -> None:
    """Write the compiled model in another format."""
    from ...ground.errors import InputError
    from .. import api
    from ..api.files import function

    if to not in EXPORTS:
        raise InputError(
            "SFX-E640", f"there is no format '{to}'", hint=f"one of: {', '.join(EXPORTS)}"
        )
    if standard_only and to != "nir":
        raise InputError(
            "SFX-E640", "--standard-only applies to NIR only", hint="use it with --to nir"
        )
    with stages(f"exporting {bundle.name}") as stage:
        stage(to)
        left_out = function(EXPORTS[to].writer)(api.load(bundle), output, standard_only)
    out.print(f"wrote {output}", markup=False, soft_wrap=True)
    if left_out:
        out.print(
            f"without the read-out {left_out}: netx has spiking layers only, so its weights stay "
            "with the host",
            markup=False,
            soft_wrap=True,
        )
