"""`sfx verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import (
    BundleArg,
    DtOpt,
    FactoryOpt,
    InputLayoutOpt,
    InputOpt,
    JsonOpt,
    LimitOpt,
    MemoryOpt,
    OldLayoutOpt,
    TrustOpt,
    WeightsOpt,
    out,
    progress_bar,
    read_data,
    to_write,
    write_json,
)

if TYPE_CHECKING:
    from ...data import Data
    from ...formats.bundle.bundle import Bundle


def verify(
    bundle: BundleArg,
    data: InputOpt,
    against: Annotated[
        str, typer.Option(help="Witness: lava, onnx, fast, or torch (the model itself)")
    ] = "lava",
    mode: Annotated[
        str,
        typer.Option(help="full (the whole net in one run) or layerwise (each population alone)"),
    ] = "full",
    states: Annotated[bool, typer.Option("--states", help="Compare u and v as well")] = False,
    limit: LimitOpt = None,
    witness: Annotated[
        Path | None,
        typer.Option(
            metavar="BUNDLE",
            help="Run the witness on this bundle instead, to show that the comparison can fail",
        ),
    ] = None,
    sample_fraction: Annotated[
        float,
        typer.Option(
            metavar="F", help="Layerwise: share of the neurons of each population to replay"
        ),
    ] = 1.0,
    resume: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=to_write,
            help="Layerwise: record progress in this file, and continue from it",
        ),
    ] = None,
    replay: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=to_write,
            help="File for 'sfx replay', written if a neuron differs (default: BUNDLE.replay)",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL", help="With --against torch: the model file that was compiled"
        ),
    ] = None,
    factory: FactoryOpt = None,
    input_layout: InputLayoutOpt = "TB",
    takes: OldLayoutOpt = None,
    trust_pickle: TrustOpt = False,
    weights: WeightsOpt = None,
    dt: DtOpt = None,
    memory: MemoryOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Prove that a witness computes what the reference does: every spike, u and v at every step."""
    from ...report.verified import verify_summary
    from .. import api

    kept = replay or bundle.parent / f"{bundle.stem}.replay"
    to_write(kept)
    loaded, samples = api.load(bundle), read_data(data, limit)
    if against == "torch":
        asked: dict[str, Any] = {"model": factory, "input_layout": takes or input_layout}
        asked |= {"weights": weights, "dt": dt, "trust_pickle": trust_pickle}
        _against_torch(loaded, samples, _needed(source), json_file, asked)
        return
    other = None if witness is None else api.load(witness, balanced=False).program
    unit = ", population by population" if mode == "layerwise" else ""
    with progress_bar(f"{against}: {samples.samples} samples back to back{unit}") as progress:
        verdict = api.verify(
            loaded,
            samples.x,
            against=against,
            mode=mode,
            states=states,
            witness=other,
            sample_fraction=sample_fraction,
            resume=resume,
            replay_file=kept,
            memory=memory,
            progress=progress,
        )
    out.print(verify_summary(verdict))
    if verdict.cause:
        out.print(f"  replay      sfx replay {kept}", markup=False, soft_wrap=True)
    write_json(json_file, verdict.as_dict())
    if not verdict.equal:
        raise typer.Exit(1)


def _against_torch(
    bundle: Bundle,
    samples: Data,
    source: Path,
    json_file: Path | None,
    asked: dict[str, Any],
) -> None:
    """Compare with the torch model itself; `asked`: how its file is read."""
    from ...report.verified import agreement_summary
    from .. import api

    with progress_bar(f"torch: {samples.samples} samples") as progress:
        agreement = api.verify_torch(bundle, samples, source, progress=progress, **asked)
    out.print(agreement_summary(agreement))
    write_json(json_file, agreement.as_dict())
    if not agreement.passed:
        raise typer.Exit(1)


def _needed(source: Path | None) -> Path:
    if source is not None:
        return source
    from ...ground.errors import InputError

    raise InputError(
        "SFX-E713",
        "--against torch needs the model that was compiled",
        hint="give --source MODEL, and --model and --input-layout as when it was compiled",
    )
