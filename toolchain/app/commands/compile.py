"""`sfx compile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ...formats import table
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
    to_draw,
    to_write,
    write_json,
)

if TYPE_CHECKING:
    from ...formats.bundle.bundle import Bundle


def compile(
    model: ModelArg,
    target: TargetOpt = "loihi",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", callback=to_write, help="Bundle to write (default: MODEL.sfx)"
        ),
    ] = None,
    calibrate: CalibrateOpt = None,
    factory: FactoryOpt = None,
    timesteps: StepsOpt = None,
    net_input: NetInputOpt = None,
    convention: ConventionOpt = None,
    dt: DtOpt = None,
    reset: ResetOpt = None,
    bits: BitsOpt = 8,
    layer_bits: LayerBitsOpt = None,
    method: MethodOpt = "calibrated",
    effort: EffortOpt = 1.0,
    counts: CountsOpt = None,
    integer_spikes: IntegerOpt = "auto",
    proved: ProvedOpt = False,
    range_margin: MarginOpt = MARGIN,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG",
            callback=to_draw,
            help="Picture to write of what rounding costs each layer",
        ),
    ] = None,
    input_layout: InputLayoutOpt = "TB",
    takes: OldLayoutOpt = None,
    objective: ObjectiveOpt = "latency",
    seed: SeedOpt = 0,
    trust_pickle: TrustOpt = False,
    weights: WeightsOpt = None,
    beside: CheckOpt = True,
    check_samples: CheckSamplesOpt = 1,
    memory: MemoryOpt = None,
    dump: DumpOpt = None,
    json_file: JsonOpt = None,
) -> None:
    """Compile MODEL into a bundle: export, lower, quantize, balance delays and map."""
    import time

    from .. import api

    start = time.perf_counter()
    destination = output or model.parent / f"{table.stem(model)}.sfx"
    to_write(destination)
    with stages(f"compiling {model.name} for {target}") as stage:
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
        api.save(bundle, destination)
    seconds = time.perf_counter() - start
    print_reading(model, bundle.manifest)
    _print_result(bundle, seconds, destination, picture)
    write_json(json_file, _values(bundle.manifest) | {"seconds": seconds})


def _print_result(bundle: Bundle, seconds: float, destination: Path, picture: Path | None) -> None:
    """The summary, and what rounding cost as a picture if one is wanted."""
    from ...report.compiled import compile_summary
    from ...report.mapped import mapped_lines
    from .. import api

    manifest, mapped = bundle.manifest, mapped_lines(bundle.placed, api.target_of(bundle))
    out.print(compile_summary(manifest, seconds, str(destination), mapped))
    if picture is not None:
        from ...report.pictures import quantization

        quantization(manifest, picture)
        out.print(f"drew {picture}", markup=False, soft_wrap=True)


def _values(manifest: dict[str, Any]) -> dict[str, Any]:
    """What `--json` says of a bundle."""
    from ...report.degraded import degraded

    return {
        **manifest["statistics"],
        "quantization": manifest["quantization"],
        "nir": manifest.get("nir"),
        "silent": manifest.get("silent", []),
        "ranges": manifest.get("ranges", []),
        "graded": manifest.get("graded", []),
        "degraded": degraded(manifest["quantization"]),
        "witness": manifest.get("witness"),
    }
