"""`sfx check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from .bits import (
    MARGIN,
    BitsOpt,
    CountsOpt,
    EffortOpt,
    IntegerOpt,
    LayerBitsOpt,
    MarginOpt,
    MethodOpt,
    ProvedOpt,
    quantize_options,
)
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
    MemoryOpt,
    ModelArg,
    NetInputOpt,
    ObjectiveOpt,
    OldLayoutOpt,
    ResetOpt,
    SeedOpt,
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

if TYPE_CHECKING:
    from ...formats.bundle.bundle import Bundle


def check(
    model: ModelArg,
    target: TargetOpt = "loihi",
    calibrate: CalibrateOpt = None,
    factory: FactoryOpt = None,
    timesteps: StepsOpt = None,
    net_input: NetInputOpt = None,
    input_layout: InputLayoutOpt = "TB",
    takes: OldLayoutOpt = None,
    bits: BitsOpt = 8,
    layer_bits: LayerBitsOpt = None,
    method: MethodOpt = "calibrated",
    effort: EffortOpt = 1.0,
    counts: CountsOpt = None,
    integer_spikes: IntegerOpt = "auto",
    proved: ProvedOpt = False,
    range_margin: MarginOpt = MARGIN,
    convention: ConventionOpt = None,
    dt: DtOpt = None,
    reset: ResetOpt = None,
    trust_pickle: TrustOpt = False,
    weights: WeightsOpt = None,
    objective: ObjectiveOpt = "latency",
    seed: SeedOpt = 0,
    memory: MemoryOpt = None,
    beside: CheckOpt = True,
    check_samples: CheckSamplesOpt = 1,
    dump: DumpOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Check whether MODEL compiles and fits, and list every problem; nothing is written."""
    from dataclasses import asdict

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
                objective=objective,
                seed=seed,
                stage=stage,
                trust_pickle=trust_pickle,
                weights=weights,
                check=beside,
                check_samples=check_samples,
                dump_passes=dump,
                memory=memory,
                options=quantize_options(
                    bits, layer_bits, method, effort, counts, integer_spikes, (proved, range_margin)
                ),
            )
    except SfxError as error:  # main() prints it and sets the exit status
        problems = [asdict(p) for p in error.problems]
        write_json(json_file, {"fits": False, "problems": problems, "during": error.during})
        raise
    print_reading(model, bundle.manifest)
    _print_result(model, bundle)
    write_json(json_file, {"fits": True, "problems": [], **_values(bundle.manifest)})


def _values(manifest: dict[str, Any]) -> dict[str, Any]:
    """What `--json` says of a model that fits."""
    said = {"witness": manifest.get("witness"), "graded": manifest.get("graded", [])}
    return {**manifest["statistics"], **said}


def _print_result(model: Path, bundle: Bundle) -> None:
    from ...report.degraded import degraded_lines
    from ...report.graded import graded_lines
    from ...report.mapped import mapped_lines
    from ...report.ranges import range_lines
    from ...report.witness import witness_lines
    from .. import api

    manifest = bundle.manifest
    cores = manifest["statistics"]["cores"]
    out.print(f"{model.name} compiles and fits {manifest['target']}: {cores} cores")
    if manifest.get("weights"):
        out.print(f"weights from {manifest['weights']}", markup=False, soft_wrap=True)
    lines = [
        *(f"{head}: {line}" for head, line in mapped_lines(bundle.placed, api.target_of(bundle))),
        *witness_lines(manifest.get("witness")),
        *range_lines(manifest.get("ranges", ())),
        *degraded_lines(manifest["quantization"]),
        *graded_lines(manifest.get("graded", ())),
    ]
    for line in lines:
        out.print(f"  {line}", markup=False, soft_wrap=True)
