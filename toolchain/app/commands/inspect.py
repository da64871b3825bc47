"""`sfx inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import ConventionOpt, DtOpt, ResetOpt, nir_options, out


def inspect(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .sfx, .nir, .onnx, .net, .pt or .safetensors")
    ],
    convention: ConventionOpt = None,
    dt: DtOpt = None,
    reset: ResetOpt = None,
) -> None:
    """Show what a file holds: populations and projections, NIR nodes, or tensors."""
    from .. import api

    out.print(
        api.inspect(file, nir_options(convention, dt, reset)), markup=False, soft_wrap=True, end=""
    )
