"""`sfx export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .common import BundleArg, out, stages, to_write


def export(
    bundle: BundleArg,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FILE", callback=to_write, help="File to write"),
    ],
    to: Annotated[
        str,
        typer.Option(
            help="onnx: integer operators, for ONNX Runtime; netx: a sequential model for lava-dl "
            "(.net); nir: the source graph"
        ),
    ] = "onnx",
    standard_only: Annotated[
        bool,
        typer.Option(
            "--standard-only", help="With --to nir: standard nodes only, views as dense layers"
        ),
    ] = False,
) -> None:
    """Write the compiled model in another format."""
    from ...ground.errors import InputError
    from ...ground.files import atomic_write
    from .. import api

    if to not in ("onnx", "netx", "nir"):
        raise InputError("SFX-E640", f"no format '{to}'", hint="use --to onnx, netx or nir")
    if standard_only and to != "nir":
        raise InputError("SFX-E640", "--standard-only is of NIR", hint="use it with --to nir")
    left_out = ""
    with stages(f"exporting {bundle.name}") as stage:
        stage(to)
        loaded = api.load(bundle)
        if to == "onnx":
            api.export_onnx(loaded, output)
        elif to == "netx":
            left_out = api.export_netx(loaded, output)
        elif loaded.nir:
            atomic_write(output, api.standard_nir(loaded) if standard_only else loaded.nir)
        else:
            raise InputError("SFX-E641", "the bundle has no NIR source", where=str(bundle))
    out.print(f"wrote {output}", markup=False, soft_wrap=True)
    if left_out:
        out.print(
            f"without the read-out {left_out}: netx has spiking layers only, so its weights stay "
            "with the host",
            markup=False,
            soft_wrap=True,
        )
