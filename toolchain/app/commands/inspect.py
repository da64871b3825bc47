"""`sfx inspect`."""

from __future__ import annotations

from .common import ConventionOpt, DtOpt, FileArg, ResetOpt, nir_options, out


def inspect(
    file: FileArg,
    convention: ConventionOpt = None,
    dt: DtOpt = None,
    reset: ResetOpt = None,
) -> None:
    """Show what a file contains: populations and projections, NIR nodes or tensors."""
    from .. import api

    out.print(
        api.inspect(file, nir_options(convention, dt, reset)), markup=False, soft_wrap=True, end=""
    )
