"""`sfx compile`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sfx.toolchain.commands.common import (
    CalibrateOpt,
    FactoryOpt,
    JsonOpt,
    ModelArg,
    StepsOpt,
    TargetOpt,
    optional_data,
    out,
    stages,
    write_json,
)


def compile(
    model: ModelArg,
    target: TargetOpt = "loihi",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Bundle to write (default: MODEL.sfx)")
    ] = None,
    calibrate: CalibrateOpt = None,
    factory: FactoryOpt = None,
    timesteps: StepsOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Compile MODEL into a bundle: export, lower, quantize, balance delays, map."""
    import time

    from sfx.toolchain import api

    start = time.perf_counter()
    with stages(f"compiling {model.name} for {target}") as stage:
        bundle = api.compile(
            model,
            target,
            calibrate=optional_data(calibrate),
            model=factory,
            timesteps=timesteps,
            stage=stage,
        )
        destination = output or model.with_suffix(".sfx")
        api.save(bundle, destination)
    seconds = time.perf_counter() - start
    from sfx.toolchain.report.compiled import compile_summary

    out.print(compile_summary(bundle.manifest, seconds, str(destination)))
    statistics = bundle.manifest["statistics"]
    write_json(
        json_file,
        {**statistics, "quantization": bundle.manifest["quantization"], "seconds": seconds},
    )
