"""`sfx run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import (
    BundleArg,
    InputOpt,
    JsonOpt,
    LimitOpt,
    in_bytes,
    out,
    progress_bar,
    read_data,
    write_json,
)

if TYPE_CHECKING:
    from ....backends.base import Result
    from ...data import Data
    from ...formats.bundle.bundle import Bundle


def run(
    bundle: BundleArg,
    data: InputOpt,
    backend: Annotated[str, typer.Option(help="Backend: fast, reference, lava or onnx")] = "fast",
    device: Annotated[str, typer.Option(help="Device: cpu, or cuda with the fast backend")] = "cpu",
    memory: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="MB",
            callback=in_bytes,
            help="Memory that the run may use (for fast it sets the batch size)",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or dask to distribute the samples")] = "local",
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask scheduler (default: workers on this machine that no other user can reach). "
            "It and its workers receive the Program and the samples, and everyone who can reach "
            "them can run code there and here. Trust all of them, and use tls:// with the three "
            "options below",
        ),
    ] = None,
    tls_ca: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Certificate authority of a tls:// scheduler")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Client certificate for that scheduler")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="PEM", help="Private key of that certificate")
    ] = None,
    limit: LimitOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Run samples through the compiled model in simulated hardware; print the accuracy."""
    from .. import api

    loaded, samples = api.load(bundle), read_data(data, limit)
    with progress_bar(f"{backend}: {samples.samples} samples") as progress:
        result = api.run(
            loaded,
            samples,
            backend_name=backend,
            memory=memory,
            device=device,
            engine=engine,
            scheduler=scheduler,
            tls=(tls_ca, tls_cert, tls_key),
            progress=progress,
        )
    values = _values(loaded, samples, result)
    _print_result(values)
    write_json(json_file, values)


def _values(bundle: Bundle, samples: Data, result: Result) -> dict[str, Any]:
    """What `--json` says of a run; spikes and synops of all samples, without the input's."""
    import numpy as np

    from ...compiler.cost.activity import total
    from ...compiler.cost.synops import synops

    on_cores = [p.name for p in bundle.program if not p.neuron.driven]
    known = samples.y is not None
    return {
        "backend": result.backend,
        "samples": samples.samples,
        "predictions": result.predictions.tolist(),
        "accuracy": float(np.mean(result.predictions == samples.y)) if known else None,
        "seconds": result.seconds,
        "spikes": sum(total(result.counts.events, name) for name in on_cores),
        "synops": synops(bundle.program, result.counts),
        "left_range": dict(result.left),
    }


def _print_result(values: dict[str, Any]) -> None:
    from ...report.ranges import left_lines
    from ...report.units import share

    accuracy, samples = values["accuracy"], values["samples"]
    if accuracy is None:
        out.print(f"predictions  {' '.join(map(str, values['predictions'][:40]))}")
    else:
        right = round(accuracy * samples)
        out.print(f"accuracy  {share(accuracy, 2)}  ({right} of {samples} samples)")
    out.print(
        f"backend   {values['backend']}, {values['seconds']:.1f} s\n"
        f"spikes    {values['spikes'] / samples:,.0f} per sample, input not counted\n"
        f"synops    {values['synops'] / samples:,.0f} per sample"
    )
    left = values["left_range"]
    for line in left_lines(left):
        out.print(f"ranges    {line}", style="bold red" if any(left.values()) else None)
