"""`sfx check`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .bits import MARGIN, CountsOpt, MarginOpt, ProvedOpt
from .common import (
    CalibrateOpt,
    CheckOpt,
    CheckSamplesOpt,
    ConventionOpt,
    DtOpt,
    DumpOpt,
    FactoryOpt,
    InputLayoutOpt,
    JsonOpt,
    ModelArg,
    NetInputOpt,
    OldLayoutOpt,
    ResetOpt,
    StepsOpt,
    TargetOpt,
    TrustOpt,
    WeightsOpt,
    nir_options,
    optional_data,
    out,
    print_reading,
    stages,
    write_json,
)


def check(
    model: ModelArg,
    target: TargetOpt = "loihi",
    calibrate: CalibrateOpt = None,
    factory: FactoryOpt = None,
    timesteps: StepsOpt = None,
    net_input: NetInputOpt = None,
    input_layout: InputLayoutOpt = "TB",
    takes: OldLayoutOpt = None,
    counts: CountsOpt = None,
    proved: ProvedOpt = False,
    range_margin: MarginOpt = MARGIN,
    convention: ConventionOpt = None,
    dt: DtOpt = None,
    reset: ResetOpt = None,
    trust_pickle: TrustOpt = False,
    weights: WeightsOpt = None,
    beside: CheckOpt = True,
    check_samples: CheckSamplesOpt = 1,
    dump: DumpOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Check whether MODEL compiles and fits, and list every problem; nothing is written."""
    from dataclasses import asdict

    from ...compiler.quantize.options import Options
    from ...ground.errors import SfxError
    from .. import api

    try:
        with stages(f"checking {model.name} for {target}") as stage:
            bundle = api.compile(
                model,
                target,
                calibrate=optional_data(calibrate),
                model=factory,
                timesteps=timesteps,
                net_input=net_input,
                input_layout=takes or input_layout,
                nir_options=nir_options(convention, dt, reset),
                objective="cores",
                stage=stage,
                trust_pickle=trust_pickle,
                weights=weights,
                check=beside,
                check_samples=check_samples,
                dump_passes=dump,
                options=Options(counts=counts, proved=proved, range_margin=range_margin),
            )
    except SfxError as error:  # main() prints it and sets the exit status
        problems = [asdict(p) for p in error.problems]
        write_json(json_file, {"fits": False, "problems": problems, "during": error.during})
        raise
    print_reading(model, bundle.manifest)
    _print_result(model, bundle.manifest)
    values = {**bundle.manifest["statistics"], "witness": bundle.manifest.get("witness")}
    write_json(json_file, {"fits": True, "problems": [], **values})


def _print_result(model: Path, manifest: dict[str, Any]) -> None:
    from ...report.degraded import degraded_lines
    from ...report.ranges import range_lines
    from ...report.witness import witness_lines

    cores = manifest["statistics"]["cores"]
    out.print(f"{model.name} compiles and fits {manifest['target']}: {cores} cores")
    if manifest.get("weights"):
        out.print(f"weights from {manifest['weights']}", markup=False, soft_wrap=True)
    lines = [
        *witness_lines(manifest.get("witness")),
        *range_lines(manifest.get("ranges", ())),
        *degraded_lines(manifest["quantization"]),
    ]
    for line in lines:
        out.print(f"  {line}", markup=False, soft_wrap=True)
